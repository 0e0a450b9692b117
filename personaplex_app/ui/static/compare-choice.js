// What is compared: inputs, role, voices, seeds.

import { AudioRig, AudioTrouble } from "./audio.js";
import * as status from "./api.js";
import * as api from "./compare-api.js";
import { clock, h, part, say, show } from "./dom.js";
import { audioTrouble } from "./messages.js";
import { readableBy, wavOf } from "./wav.js";

const KINDS = {
  pause: "Pauses",
  turn_end: "Ends of turns",
  interruption: "Interruptions",
  user_backchannel: "You murmur along",
  agent_backchannel: "It listens for long",
  side_speech: "Others speak",
  silence: "Silence",
  noise: "Noise",
  persona: "What the role knows",
};
const FIRST = "turn-question";
const FEW_VOICES = 8;

export class Choice {
  constructor(root, chosen, tell) {
    this.root = root;
    this.chosen = chosen;
    this.tell = tell;
    this.form = part(root, "form");
    this.persona = root.querySelector("#compare-persona");
    this.seeds = root.querySelector("#compare-seeds");
    this.recordings = part(root, "recordings");
    this.recordButton = root.querySelector('[data-act="record"]');
    this.file = part(root, "file");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.form.addEventListener("input", () => this.count());
    this.recordButton.addEventListener("click", () => (this.rig ? this.endRecording() : this.record()));
    root.querySelector('[data-act="upload"]').addEventListener("click", () => this.file.click());
    this.file.addEventListener("change", () => this.file.files[0] && this.take(this.file.files[0], this.file.files[0].name.replace(/\.[^.]*$/, "")));
    for (const [act, on] of [["all-voices", true], ["no-voices", false]]) root.querySelector(`[data-act="${act}"]`).addEventListener("click", () => this.checkVoices(() => on));
  }

  /** Offer what the server has; keeps what was chosen. */
  fill(offer, now) {
    const key = JSON.stringify([offer, now.voices, now.personas, now.engine.capabilities]);
    if (key === this.key) return;
    const before = this.key ? new Set(this.checked("voice")) : null;
    this.key = key;
    this.limits = offer.limits;
    this.titles = { voice: new Map([...now.voices, ...(now.lease?.beside.voices ?? [])].map((each) => [each.name, each.title])), persona: new Map(now.personas.map((each) => [each.name, each.title])) };
    say(part(this.root, "most-inputs"), String(offer.limits.inputs));
    this.fillScenarios(offer.scenarios);
    const role = Boolean(now.engine.capabilities?.role_prompt);
    const own = h("option", { value: "" }, role ? "Each input's own role" : `${now.engine.title} plays no role`);
    this.persona.replaceChildren(own, ...(role ? now.personas : []).map((each) => h("option", { value: each.name }, each.title)));
    this.persona.disabled = !role;
    this.fillVoices(now.voices);
    if (before) this.checkVoices((voice) => before.has(voice));
    show(part(this.root, "seeds-field"), Boolean(now.engine.capabilities?.sampling));
    this.count();
  }

  /** What a voice or a persona is called. */
  title(kind, name) {
    return this.titles?.[kind].get(name) ?? (name.startsWith("clone:") ? "a cloned voice" : name);
  }

  fillScenarios(scenarios) {
    const checked = new Set(this.key && this.scenarioNames ? this.checked("scenario") : [FIRST]);
    this.scenarioNames = scenarios.map((each) => each.name);
    const groups = Object.entries(KINDS).map(([kind, title]) => {
      const own = scenarios.filter((each) => each.kind === kind);
      const cards = own.map((each) => this.card("scenario", each.name, each.title, `as ${this.title("persona", each.persona)}`, checked.has(each.name)));
      return own.length ? h("details", { class: "advanced compare-kind", open: own.some((each) => checked.has(each.name)) }, h("summary", {}, `${title} (${own.length})`), h("div", { class: "cards" }, cards)) : null;
    });
    part(this.root, "scenarios").replaceChildren(...groups.filter(Boolean));
  }

  fillVoices(voices) {
    const families = new Map();
    for (const each of voices) families.set(each.family, [...(families.get(each.family) ?? []), each]);
    const groups = [...families].map(([family, members]) =>
      h("div", { class: "family", role: "group", "aria-label": family }, h("h3", {}, family), h("div", { class: "cards" }, members.map((each, k) => this.card("voice", each.name, each.title, each.description, voices.length <= FEW_VOICES || k === 0)))),
    );
    part(this.root, "voices").replaceChildren(...groups);
  }

  card(name, value, title, text, checked) {
    return h("label", { class: "card" }, h("input", { type: "checkbox", name, value, checked }), h("span", { class: "card-body" }, h("b", {}, title), h("small", {}, text)));
  }

  checkVoices(wanted) {
    for (const box of this.form.querySelectorAll('input[name="voice"]')) box.checked = wanted(box.value);
    this.count();
  }

  checked(name) {
    return [...this.form.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value);
  }

  asked() {
    const inputs = [...this.checked("recording").map((recording) => ({ recording })), ...this.checked("scenario").map((scenario) => ({ scenario }))];
    const seeds = part(this.root, "seeds-field").hidden ? [0] : this.seeds.value.split(/[\s,;]+/).filter(Boolean).map(Number);
    const asked = { inputs, persona: this.persona.value, voices: this.checked("voice"), seeds };
    if (!part(this.root, "room-field").hidden) asked.room_s = Number(this.form.elements.room_s.value);
    return asked;
  }

  problem({ inputs, voices, seeds }) {
    if (!inputs.length) return "Choose at least one thing to say, or record it.";
    if (inputs.length > this.limits.inputs) return `${inputs.length} inputs are chosen; the most are ${this.limits.inputs}.`;
    if (!voices.length) return "Choose at least one voice.";
    if (!seeds.length || seeds.length > this.limits.seeds || seeds.some((each) => !Number.isInteger(each) || each < 0)) return `Give one to ${this.limits.seeds} seeds: whole numbers from 0 up.`;
    return null;
  }

  count() {
    if (!this.limits) return;
    const asked = this.asked();
    const problem = this.problem(asked);
    const answers = asked.inputs.length * asked.voices.length * asked.seeds.length;
    say(part(this.root, "count"), problem ?? `${answers} ${answers === 1 ? "answer" : "answers"}${asked.voices.length < 2 ? "; a blind test needs two voices" : ""}`);
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
    const most_s = this.limits?.recording_s ?? 60;
    this.frames = [];
    let peaks = 0;
    const rig = new AudioRig(status.folder, {
      heard: (each) => {
        if (this.rig !== rig) return;
        peaks += each.length;
        say(part(this.root, "record-text"), `Stop · ${clock(peaks / 50)}`);
        if (peaks / 50 >= most_s - 0.2) this.endRecording();
      },
      played() {},
      report() {},
      unplugged: () => this.endRecording(),
    });
    this.rig = rig;
    try {
      await rig.open();
    } catch (error) {
      this.stopRig();
      this.report(error instanceof AudioTrouble ? audioTrouble(error.code) : `The sound could not be started: ${error.message}`);
      return;
    }
    if (this.rig !== rig) return;
    const { capture } = rig.ports();
    capture.onmessage = ({ data }) => this.frames.push(data.pcm);
    capture.postMessage("begin");
    this.recordButton.setAttribute("aria-pressed", "true");
    this.report("Say what all voices shall answer.");
  }

  stopRig() {
    this.rig?.close();
    this.rig = null;
    this.recordButton.setAttribute("aria-pressed", "false");
    say(part(this.root, "record-text"), "Record");
  }

  endRecording() {
    if (!this.rig) return;
    this.stopRig();
    this.take(wavOf(this.frames), `Recording ${this.recordings.childElementCount + 1}`);
  }

  async take(file, title) {
    this.file.value = "";
    if (file.size > this.limits.recording_bytes) return this.report(`That file has ${Math.ceil(file.size / 2 ** 20)} MiB; the limit is ${this.limits.recording_bytes / 2 ** 20} MiB. Cut it to two minutes or less.`);
    this.report("Reading it…");
    try {
      const made = await api.addRecording(await readableBy(file), title);
      this.recordings.querySelector(`input[value="${made.id}"]`)?.closest("label").remove();
      this.recordings.append(this.card("recording", made.id, made.title, `${made.duration_s.toFixed(1)} s, yours; not kept`, true));
      show(part(this.root, "room-field"), true);
      this.report("");
      this.count();
    } catch (error) {
      this.report(error.message);
    }
    return null;
  }
}
