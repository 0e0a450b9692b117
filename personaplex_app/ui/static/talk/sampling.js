// How the agent is sampled: chosen before a talk, and all but the seed changed while it runs. Shows what the server
// says is in force.

import { h, part, say, show } from "../shared/dom.js";
import { asNumber, t, told } from "../shared/strings.js";

const TELL_AFTER_MS = 150;
const SLIDER_STEP = "0.05";

export class Sampling {
  /**
   * @param {HTMLElement} root
   * @param {(fields: Object<string, number>) => void} tell takes what changed while talking
   */
  constructor(root, tell) {
    this.root = root;
    this.tell = tell;
    this.fields = new Map();
    this.live = false;
    this.block = part(root, "sampling");
    part(root, "sampling-reset").addEventListener("click", () => this.reset());
  }

  /** Offer what the engine can; keeps what was typed where it still means something. */
  fill({ sampling = {}, engine }) {
    const key = JSON.stringify([sampling, engine.title]);
    if (this.live || key === this.key) return;
    this.key = key;
    this.limits = sampling;
    const typed = this.values();
    this.fields.clear();
    const names = Object.keys(sampling);
    part(this.root, "sampling-controls").replaceChildren(
      ...names.map((name) => this.control(name, sampling[name])),
    );
    for (const [name, value] of Object.entries(typed)) this.set(name, value);
    show(part(this.root, "sampling-controls"), names.length > 0);
    show(part(this.root, "sampling-reset"), names.length > 0);
    say(part(this.root, "sampling-hint"), this.hint(engine));
  }

  hint(engine) {
    const limits = Object.values(this.limits);
    if (!limits.length) return t("sampling_none", { engine: told(engine.title) });
    const when = limits.every(({ now }) => !now) ? "sampling_before" : "sampling_now";
    return `${t("sampling_what")} ${t(when)}`;
  }

  control(name, limit) {
    const title = t(name);
    const usual = name === "seed" ? t("sampling_random") : String(limit.default);
    const id = `sampling-${name}`;
    const shared = { min: String(limit.least), max: String(limit.most), "aria-describedby": `${id}-hint` };
    const number = h("input", {
      ...shared,
      type: "number",
      id,
      name,
      step: limit.whole ? "1" : "any",
      placeholder: usual,
      inputmode: limit.whole ? "numeric" : "decimal",
    });
    // a slider for what is tuned by ear; counts and seeds are typed
    const range = { ...shared, type: "range", step: SLIDER_STEP, value: usual, "aria-label": title };
    const slider = limit.whole ? null : h("input", range);
    number.addEventListener("input", () => {
      if (slider) slider.value = number.value === "" ? usual : number.value;
      this.changed(name);
    });
    slider?.addEventListener("input", () => {
      number.value = slider.value;
      this.changed(name);
    });
    this.fields.set(name, { number, slider, usual });
    return h(
      "div",
      { class: "sampling-field" },
      h("label", { for: id }, title),
      h("div", { class: "sampling-row" }, slider, number),
      h("small", { id: `${id}-hint` }, t("sampling_default", { meaning: t(`${name}_hint`), value: usual })),
    );
  }

  /** Show a value; null is the model's default. */
  set(name, value) {
    const field = this.fields.get(name);
    if (!field) return;
    field.number.value = value ?? "";
    field.number.setAttribute("aria-invalid", "false");
    if (field.slider) field.slider.value = value ?? field.usual;
  }

  /** What was typed, by name; what is empty is the model's default. */
  values() {
    return Object.fromEntries(
      [...this.fields]
        .filter(([, { number }]) => number.value !== "")
        .map(([name, { number }]) => [name, Number(number.value)]),
    );
  }

  /** The first field whose value cannot be used, as a sentence, or null. */
  problem() {
    for (const [name, { number }] of this.fields) {
      if (number.validity.valid) continue;
      this.block.open = true;
      number.focus();
      const { least, most, whole } = this.limits[name];
      const key = whole ? "sampling_whole" : "sampling_number";
      return t(key, { name: t(name), least: asNumber(least), most: asNumber(most) });
    }
    return null;
  }

  changed(name) {
    const { number } = this.fields.get(name);
    number.setAttribute("aria-invalid", String(!number.validity.valid));
    if (!this.live || !number.validity.valid) return;
    this.waiting = {
      ...this.waiting,
      [name]: number.value === "" ? this.limits[name].default : Number(number.value),
    };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.tell(this.waiting);
      this.waiting = null;
    }, TELL_AFTER_MS);
  }

  reset() {
    for (const [name, { number }] of this.fields) {
      if (number.disabled) continue;
      this.set(name, null);
      this.changed(name);
    }
  }

  /** A talk has begun with these values; null where its engine does not sample. */
  begin(inForce) {
    this.live = true;
    show(this.block, Boolean(inForce));
    part(this.root, "sampling-live").append(this.block);
    if (!inForce) return;
    this.fix(true);
    this.inForce(inForce);
  }

  /** The server says what it samples with now. */
  inForce(values) {
    this.now = values;
    this.block.dataset.inForce = JSON.stringify(values);
    say(part(this.root, "sampling-seed"), t("sampling_seed", { seed: values.seed }));
  }

  /** What the server refused is taken back. */
  refused() {
    if (!this.now) return;
    for (const name of this.fields.keys()) {
      if (name !== "seed") this.set(name, this.now[name]);
    }
  }

  end() {
    clearTimeout(this.timer);
    this.waiting = null;
    this.live = false;
    show(this.block, true);
    this.fix(false);
    part(this.root, "sampling-idle").append(this.block);
  }

  /** Close what cannot be changed while talking, or open it again. */
  fix(live) {
    for (const [name, { number, slider }] of this.fields) {
      if (this.limits[name].now) continue;
      number.disabled = live;
      if (slider) slider.disabled = live;
    }
  }
}
