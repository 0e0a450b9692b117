// What is compared: inputs, role, voices, seeds.

import { MicrophoneRecorder } from "../audio/microphone-recorder.js";
import { readableBy } from "../audio/wav.js";
import { clock, h, part, say, show } from "../shared/dom.js";
import { familyCards } from "../shared/families.js";
import { soundTrouble } from "../shared/texts.js";
import * as api from "./compare-api.js";
import { numbersIn, SETTINGS } from "./settings.js";

// what a first visitor finds chosen
const FIRST_SCENARIO = "turn-question";
// of so many voices all are chosen at first, of more the first of each family
const FEW_VOICES = 8;
const USUAL_RECORDING_S = 60;
const BYTES_A_MIB = 2 ** 20;

export class Choice {
  /**
   * @param {HTMLElement} root
   * @param {(asked: object) => void} chosen called with what `compare-api.start` takes
   * @param {(text: string) => void} tell
   */
  constructor(root, chosen, tell) {
    this.root = root;
    this.chosen = chosen;
    this.tell = tell;
    this.form = part(root, "form");
    this.persona = root.querySelector("#compare-persona");
    this.by = root.querySelector("#compare-by");
    this.values = root.querySelector("#compare-values");
    this.oneVoice = root.querySelector("#compare-voice");
    this.seeds = root.querySelector("#compare-seeds");
    this.recordings = part(root, "recordings");
    this.recordButton = root.querySelector('[data-act="record"]');
    this.file = part(root, "file");
    this.recorder = new MicrophoneRecorder({
      heard: (peaks, length_s) => say(part(root, "record-text"), `Stop · ${clock(length_s)}`),
      ended: (wav) => this.recorded(wav),
    });
    this.listen();
  }

  listen() {
    const click = (act, work) =>
      this.root.querySelector(`[data-act="${act}"]`).addEventListener("click", work);
    click("record", () => (this.recorder.recording ? this.recorder.finish() : this.record()));
    click("upload", () => this.file.click());
    click("all-voices", () => this.checkVoices(() => true));
    click("no-voices", () => this.checkVoices(() => false));
    this.file.addEventListener("change", () => {
      const [file] = this.file.files;
      if (file) this.take(file, file.name.replace(/\.[^.]*$/, ""));
    });
    this.by.addEventListener("change", () => this.showDifference());
    this.form.addEventListener("input", () => this.count());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  /**
   * Offer what the server has; keeps what was chosen.
   *
   * @param {object} offer as `compare-api.offer` gives it
   * @param {object} status as /voice/status gives it
   */
  fill(offer, status) {
    const { voices, personas, engine, lease } = status;
    const key = JSON.stringify([offer, voices, personas, engine.capabilities]);
    if (key === this.key) return;
    const before = this.key ? new Set(this.checked("voice")) : null;
    const scenariosBefore = this.key ? this.checked("scenario") : [FIRST_SCENARIO];
    this.key = key;
    this.limits = offer.limits;
    const titles = (items) => new Map(items.map(({ name, title }) => [name, title]));
    this.titles = { voice: titles([...voices, ...(lease?.beside.voices ?? [])]), persona: titles(personas) };
    say(part(this.root, "most-inputs"), String(offer.limits.inputs));
    this.fillScenarios(offer, new Set(scenariosBefore));
    this.fillPersonas(personas, engine);
    this.fillVoices(voices);
    this.fillDifferences(offer, engine);
    if (before) this.checkVoices((voice) => before.has(voice));
    show(part(this.root, "seeds-field"), Boolean(engine.capabilities?.sampling));
    this.count();
  }

  /** What a voice or a persona is called; `kind` is "voice" or "persona". */
  title(kind, name) {
    if (kind in (this.settings ?? {})) return `${SETTINGS[kind]} ${name}`;
    return this.titles?.[kind].get(name) ?? (name.startsWith("clone:") ? "a cloned voice" : name);
  }

  fillScenarios({ scenarios, kinds }, checked) {
    const card = ({ name, title, persona }) =>
      this.card("scenario", name, title, `as ${this.title("persona", persona)}`, checked.has(name));
    const groups = kinds.map(({ name, title }) => {
      const own = scenarios.filter((each) => each.kind === name);
      if (!own.length) return null;
      const open = own.some((each) => checked.has(each.name));
      return h(
        "details",
        { class: "advanced compare-kind", open },
        h("summary", {}, `${title} (${own.length})`),
        h("div", { class: "cards" }, own.map(card)),
      );
    });
    part(this.root, "scenarios").replaceChildren(...groups.filter(Boolean));
  }

  fillPersonas(personas, engine) {
    const role = Boolean(engine.capabilities?.role_prompt);
    const own = role ? "The role that fits each recording" : `${engine.title} has no roles`;
    const options = (role ? personas : []).map(({ name, title }) => h("option", { value: name }, title));
    this.persona.replaceChildren(h("option", { value: "" }, own), ...options);
    this.persona.disabled = !role;
    const card = ({ name, title, purpose }, place) => this.card("persona", name, title, purpose, place < 2);
    part(this.root, "personas").replaceChildren(...personas.map(card));
  }

  fillVoices(voices) {
    const few = voices.length <= FEW_VOICES;
    const card = ({ name, title, description }, place) =>
      this.card("voice", name, title, description, few || place === 0);
    part(this.root, "voices").replaceChildren(...familyCards(voices, card));
    this.oneVoice.replaceChildren(...voices.map(({ name, title }) => h("option", { value: name }, title)));
  }

  /** Offer what the engine can differ in. */
  fillDifferences({ settings, most_settings }, { capabilities }) {
    Object.assign(this, { settings, most_settings });
    const { role_prompt, sampling } = capabilities ?? {};
    const offered = [["voice", "Voices"]];
    if (role_prompt) offered.push(["persona", "Personas"]);
    if (sampling) offered.push(...Object.entries(SETTINGS));
    const chosen = this.by.value;
    const option = ([value, text]) => h("option", { value, selected: value === chosen }, text);
    this.by.replaceChildren(...offered.map(option));
    this.showDifference();
  }

  /** Show the fields of what differs, and one of each else. */
  showDifference() {
    const by = this.by.value;
    const setting = this.settings[by];
    show(part(this.root, "voices-field"), by === "voice");
    show(part(this.root, "voice-field"), by !== "voice");
    show(part(this.root, "personas-field"), by === "persona");
    show(part(this.root, "persona-field"), by !== "persona");
    show(part(this.root, "values-field"), Boolean(setting));
    if (setting && this.values.dataset.by !== by) {
      this.values.dataset.by = by;
      const { least, most, usual, whole } = setting;
      const half = whole ? Math.round(usual / 2) : usual / 2;
      this.values.value = `${half}, ${usual}`;
      const numbers = whole ? "whole numbers" : "numbers";
      const text = `Two to ${this.most_settings} ${numbers} from ${least} to ${most}; ${usual} is usual.`;
      say(this.root.querySelector("#compare-values-hint"), text);
    }
    this.count();
  }

  card(name, value, title, text, checked) {
    return h(
      "label",
      { class: "card" },
      h("input", { type: "checkbox", name, value, checked }),
      h("span", { class: "card-body" }, h("b", {}, title), h("small", {}, text)),
    );
  }

  checkVoices(wanted) {
    for (const box of this.form.querySelectorAll('input[name="voice"]')) box.checked = wanted(box.value);
    this.count();
  }

  /** The values of the ticked boxes of that name. */
  checked(name) {
    return [...this.form.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value);
  }

  seedsAsked() {
    return part(this.root, "seeds-field").hidden ? [0] : numbersIn(this.seeds);
  }

  /** What the form says, as `compare-api.start` takes it. */
  asked() {
    const inputs = [
      ...this.checked("recording").map((recording) => ({ recording })),
      ...this.checked("scenario").map((scenario) => ({ scenario })),
    ];
    const by = this.by.value || "voice";
    const voices = by === "voice" ? this.checked("voice") : [this.oneVoice.value];
    const persona = by === "persona" ? "" : this.persona.value;
    const asked = { inputs, persona, voices, seeds: this.seedsAsked(), by };
    if (by !== "voice") asked.values = by === "persona" ? this.checked("persona") : numbersIn(this.values);
    if (!part(this.root, "room-field").hidden) asked.room_s = Number(this.form.elements.room_s.value);
    return asked;
  }

  /** Why it cannot be rendered, as a sentence, or null. */
  problem({ inputs, voices, seeds, by, values }) {
    const { limits } = this;
    if (!inputs.length) return "Choose at least one thing to say, or record it.";
    if (inputs.length > limits.inputs) {
      return `${inputs.length} inputs are chosen; the most are ${limits.inputs}.`;
    }
    if (!voices.length) return "Choose at least one voice.";
    if (by === "persona" && !values.length) return "Choose at least one persona.";
    const { least, most } = this.settings[by] ?? {};
    const wrong = by in this.settings && values.some((each) => !(each >= least && each <= most));
    if (wrong || values?.length === 0) return `Give numbers from ${least} to ${most}, separated by commas.`;
    const isSeed = (each) => Number.isInteger(each) && each >= 0;
    if (!seeds.length || seeds.length > limits.seeds || !seeds.every(isSeed)) {
      return `Give one to ${limits.seeds} seeds: whole numbers from 0 up.`;
    }
    return null;
  }

  /** Say how many answers it will be, or what is missing. */
  count() {
    if (!this.limits) return;
    const asked = this.asked();
    const problem = this.problem(asked);
    const compared = asked.values ?? asked.voices;
    const answers = asked.inputs.length * compared.length * asked.seeds.length;
    const alone = compared.length < 2 ? "; a blind test needs two to compare" : "";
    const text = `${answers} ${answers === 1 ? "answer" : "answers"}${alone}`;
    say(part(this.root, "count"), problem ?? text);
    this.root.querySelector("#compare-render").disabled = Boolean(problem);
  }

  submit() {
    const asked = this.asked();
    const problem = this.problem(asked);
    if (problem) this.tell(problem);
    else this.chosen(asked);
  }

  // one's own recordings

  report(text) {
    say(part(this.root, "input-status"), text);
  }

  async record() {
    try {
      if (!(await this.recorder.start(this.limits?.recording_s ?? USUAL_RECORDING_S))) return;
    } catch (error) {
      this.showRecording(false);
      this.report(soundTrouble(error));
      return;
    }
    this.showRecording(true);
    this.report("Say what all voices shall answer.");
  }

  showRecording(on) {
    this.recordButton.setAttribute("aria-pressed", String(on));
    if (!on) say(part(this.root, "record-text"), "Record");
  }

  recorded(wav) {
    this.showRecording(false);
    this.take(wav, `Recording ${this.recordings.childElementCount + 1}`);
  }

  /** Bring a recording to the server, and offer it ticked. */
  async take(file, title) {
    this.file.value = ""; // the same file may be chosen again
    const most = this.limits.recording_bytes;
    if (file.size > most) {
      const sizes = `That file has ${Math.ceil(file.size / BYTES_A_MIB)} MiB; the limit is ${most / BYTES_A_MIB} MiB.`;
      this.report(`${sizes} Cut it to two minutes or less.`);
      return;
    }
    this.report("Reading it…");
    try {
      const made = await api.addRecording(await readableBy(file), title);
      this.recordings.querySelector(`input[value="${made.id}"]`)?.closest("label").remove();
      const length = `${made.duration_s.toFixed(1)} s, yours; not kept`;
      this.recordings.append(this.card("recording", made.id, made.title, length, true));
      show(part(this.root, "room-field"), true);
      this.report(made.notes.join(" "));
      this.count();
    } catch (error) {
      this.report(error.message);
    }
  }
}
