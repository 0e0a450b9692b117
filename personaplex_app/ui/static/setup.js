// Who speaks: personas, voices, the role prompt, sampling. Fills itself from /voice/status and gives the talk's request.

import * as api from "./api.js";
import { ClonedVoices } from "./cloned.js";
import { h, part, say, show } from "./dom.js";
import { Samples } from "./samples.js";

const CHARS_A_TOKEN = 4.2; // English prose under a 32k sentencepiece vocabulary: near enough to judge a length by
const MODEL_WORDS = 200;

export class Setup {
  constructor(root) {
    this.root = root;
    this.samples = new Samples();
    this.clones = new ClonedVoices(root, (name) => this.reload(name));
    // the two selects hold the values; the galleries below are another way to set them
    this.persona = root.querySelector("#talk-persona");
    this.voice = root.querySelector("#talk-voice");
    this.prompt = root.querySelector("#talk-prompt");
    this.keep = root.querySelector("#talk-keep");
    this.length = root.querySelector("#talk-length");
    this.limitChars = 2000;
    this.persona.addEventListener("change", () => this.choosePersona(this.persona.value));
    this.voice.addEventListener("change", () => this.chooseVoice(this.voice.value));
    this.prompt.addEventListener("input", () => {
      this.count();
      this.offerExamples();
    });
  }

  /** Offer what the server has; keeps what was chosen where it still exists. */
  fill(status) {
    const { voices, personas, engine, limits } = status;
    const can = engine.capabilities ?? {};
    // samples come one by one while the engine idles; the gallery stays as it is
    const key = JSON.stringify([voices.map(({ sample, ...each }) => each), personas, can]);
    this.limitChars = limits?.prompt_chars ?? 2000;
    this.offerKeep(status.keep ?? {});
    this.offerLengths(status.lease);
    if (key === this.key) return this.offerSamples(voices);
    const before = this.key ? { voice: this.voice.value, prompt: this.edited() ? this.prompt.value : null } : null;
    this.key = key;
    this.voices = new Map(voices.map((each) => [each.name, each]));
    this.personas = new Map(personas.map((each) => [each.name, each]));
    this.clones.offer(Boolean(can.cloning), this.voices);
    const role = Boolean(can.role_prompt);
    fillSelect(this.persona, role ? personas : [], "Nobody: an echo");
    fillSelect(this.voice, voices, "No voice yet");
    this.persona.closest(".inline-field").classList.toggle("is-fixed", !role);
    this.gallery("persona", role ? personas : [], (each) => each.purpose);
    this.gallery("voice", voices, (each) => each.description);
    show(part(this.root, "persona-block"), role && personas.length > 0);
    show(part(this.root, "prompt-block"), true);
    this.prompt.disabled = !role;
    show(this.prompt, role);
    show(part(this.root, "prompt-count"), role);
    say(part(this.root, "prompt-hint"), role ? `Who it is and what it knows. Change anything: it answers from this text.${can.roleless ? " Empty is allowed: then it plays no role." : ""}` : `${engine.title} plays no role, so there is nothing to write here.`);
    this.roleless = Boolean(can.roleless);
    if (role) this.choosePersona(this.personas.has(this.persona.dataset.chosen) ? this.persona.dataset.chosen : (status.default_persona ?? personas[0]?.name));
    else this.chooseVoice(voices[0]?.name);
    if (before) this.restore(before);
  }

  /** An engine that has become ready must not undo what was chosen while it loaded. */
  restore({ voice, prompt }) {
    this.chooseVoice(voice);
    if (prompt === null) return;
    this.prompt.value = prompt;
    this.count();
    this.offerExamples();
  }

  /** Whether the role prompt is no longer the persona's own. */
  edited() {
    return this.prompt.value !== (this.personas?.get(this.persona.value)?.prompt ?? "");
  }

  /** A persona's examples fit its own prompt only. */
  offerExamples() {
    const examples = this.personas?.get(this.persona.value)?.examples ?? [];
    part(this.root, "example-list").replaceChildren(...examples.map((text) => h("li", {}, text)));
    show(part(this.root, "examples"), examples.length > 0 && !this.edited());
  }

  offerKeep({ available, problem }) {
    this.keep.disabled = available === false;
    if (this.keep.disabled) this.keep.checked = false;
    const hint = available === false ? problem || "Talks cannot be kept here." : "Recording and transcript, in the data folder of the machine that runs this app. Otherwise both are gone 15 minutes after the end.";
    say(part(this.root, "keep-hint"), hint);
  }

  /** Where the engine's GPU is lent, the visitor says for how long. */
  offerLengths(lease) {
    show(part(this.root, "lease"), Boolean(lease));
    if (!lease || this.length.options.length) return;
    this.length.replaceChildren(...lease.lengths_s.map((seconds) => h("option", { value: String(seconds), selected: seconds === lease.usual_s }, `${seconds} seconds`)));
  }

  gallery(kind, items, describe) {
    const families = new Map();
    for (const each of items) families.set(each.family, [...(families.get(each.family) ?? []), each]);
    const choose = kind === "persona" ? (name) => this.choosePersona(name) : (name) => this.chooseVoice(name);
    const card = (each) =>
      h(
        "label",
        { class: each.sample ? "card has-sample" : "card" },
        h("input", { type: "radio", name: `${kind}-choice`, value: each.name, onchange: () => choose(each.name) }),
        h("span", { class: "card-body" }, h("b", {}, each.title), h("small", {}, describe(each))),
        each.sample && this.samples.buttonFor(each),
      );
    const groups = [...families].map(([family, members]) => h("div", { class: "family", role: "group", "aria-label": family }, h("h3", {}, family), h("div", { class: "cards" }, members.map(card))));
    part(this.root, `${kind}-gallery`).replaceChildren(...groups);
  }

  choosePersona(name) {
    const persona = this.personas?.get(name);
    if (!persona) return;
    this.persona.value = this.persona.dataset.chosen = name;
    this.check("persona", name);
    this.prompt.value = persona.prompt;
    this.count();
    this.offerExamples();
    const cloned = this.clones.voice?.name; // who cloned a voice means to hear it, whatever the persona
    this.chooseVoice([cloned, persona.voice].find((each) => this.voices.has(each)) ?? this.voice.value);
  }

  chooseVoice(name) {
    if (!this.voices?.has(name)) return;
    this.voice.value = name;
    this.check("voice", name);
    this.clones.choose(this.voices.get(name));
  }

  /** Look again which voices there are, and choose one. */
  async reload(name) {
    this.fill(await api.status());
    this.chooseVoice(name);
  }

  check(kind, name) {
    for (const radio of this.root.querySelectorAll(`input[name="${kind}-choice"]`)) radio.checked = radio.value === name;
  }

  count() {
    const text = this.prompt.value;
    const words = text.trim() ? text.trim().split(/\s+/).length : 0;
    const over = text.length - this.limitChars;
    const counter = part(this.root, "prompt-count");
    counter.classList.toggle("is-over", over > 0);
    this.prompt.setAttribute("aria-invalid", String(over > 0));
    const numbers = `${text.length.toLocaleString()} of ${this.limitChars.toLocaleString()} characters · about ${Math.ceil(text.length / CHARS_A_TOKEN).toLocaleString()} tokens`;
    const advice = over > 0 ? ` · ${over.toLocaleString()} too many` : words > MODEL_WORDS ? ` · ${words} words; the model was trained on shorter roles` : "";
    say(counter, numbers + advice);
  }

  /** What is wrong with the role prompt, as a word, or null. */
  problem() {
    if (this.prompt.disabled) return null;
    if (!this.prompt.value.trim()) return this.roleless ? null : "empty";
    return this.prompt.value.length > this.limitChars ? "long" : null;
  }

  /** Put a button on every voice that can be heard by now. */
  offerSamples(voices) {
    for (const each of voices.filter(({ sample }) => sample)) {
      const card = part(this.root, "voice-gallery").querySelector(`input[value="${CSS.escape(each.name)}"]`)?.closest(".card");
      if (!card || card.classList.contains("has-sample")) continue;
      card.classList.add("has-sample");
      card.append(this.samples.buttonFor(each));
    }
  }

  /** A sample must not be heard in a talk. */
  hush() {
    this.samples.hush();
  }

  /** The talk to ask for: the fields of a `start` message. Another engine than the page's own may need a role. */
  request(engine) {
    const request = { voice_prompt: this.voice.value, keep: this.keep.checked };
    if (engine) request.engine = engine;
    else if (this.length.value) request.lease_s = Number(this.length.value);
    if (engine && !this.prompt.value.trim()) request.persona = this.persona.value;
    else if (!this.prompt.disabled) {
      request.text_prompt = this.prompt.value.trim();
      request.persona = this.persona.value;
    }
    return request;
  }
}

function fillSelect(select, items, none) {
  const chosen = select.value;
  const families = new Map();
  for (const each of items) families.set(each.family, [...(families.get(each.family) ?? []), each]);
  const groups = [...families].map(([family, members]) => h("optgroup", { label: family }, members.map((each) => h("option", { value: each.name }, each.title))));
  select.replaceChildren(...(groups.length ? groups : [h("option", { value: "" }, none)]));
  if (items.some((each) => each.name === chosen)) select.value = chosen;
  select.disabled = items.length < 2 && !items.length;
}
