// The dialog in which a voice is cloned: consent, a recording, what was picked from it, a name.

import { PEAKS_PER_S } from "../audio/format.js";
import { MicrophoneRecorder } from "../audio/microphone-recorder.js";
import { readableBy } from "../audio/wav.js";
import { clock, everyFrame, part, say, show } from "../shared/dom.js";
import { asNumber, t, told } from "../shared/strings.js";
import { soundTrouble } from "../shared/texts.js";
import * as api from "./clone-api.js";
import { Wave } from "./wave.js";

const USUAL_RECORDING_S = 60;
const NAME_CHARS = 40;
const megabytes = (bytes) => `${asNumber(Math.round(bytes / 1e5) / 10)} MB`;
const nameOf = (file, ending) => file.name.replace(ending, "").slice(0, NAME_CHARS);

export class CloneDialog {
  /**
   * @param {HTMLElement} root
   * @param {(voice: object) => Promise<void>} made called with a new voice
   * @param {(sentence: string) => void} failed there is none, and the dialog is closed
   */
  constructor(root, made, failed) {
    this.root = part(root, "clone");
    this.made = made;
    this.failed = failed;
    const byId = (id) => root.querySelector(`#clone-${id}`);
    this.dialog = byId("dialog");
    this.consent = byId("consent");
    this.status = byId("status");
    this.name = byId("name");
    this.keep = byId("keep");
    this.playButton = byId("play");
    this.makeButton = byId("make");
    this.buttons = { record: byId("record"), upload: byId("upload"), import: byId("import") };
    this.files = { upload: byId("recording-file"), import: byId("voice-file") };
    this.form = part(this.root, "clone-form");
    this.waveElement = byId("wave");
    this.wave = new Wave(this.waveElement);
    this.audio = new Audio();
    this.recorder = new MicrophoneRecorder({
      heard: (peaks, length_s) => this.heard(peaks, length_s),
      ended: (wav) => this.recorded(wav),
    });
    this.listen(byId);
  }

  listen(byId) {
    for (const event of ["ended", "pause", "error"]) this.audio.addEventListener(event, () => this.played());
    const click = (id, work) => byId(id).addEventListener("click", work);
    click("open", () => this.open());
    click("close", () => this.dialog.close());
    click("record", () => (this.recorder.recording ? this.recorder.finish() : this.record()));
    click("upload", () => this.files.upload.click());
    click("import", () => this.files.import.click());
    click("play", () => (this.audio.paused ? this.play() : this.audio.pause()));
    this.consent.addEventListener("change", () => this.allow());
    this.listenForFile(this.files.upload, (file) => this.take(file, nameOf(file, /\.[^.]*$/)));
    this.listenForFile(this.files.import, (file) => this.takeVoice(file));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.make();
    });
    this.dialog.addEventListener("close", () => this.reset());
    // the page's own keys start and stop talks
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
  }

  listenForFile(input, take) {
    input.addEventListener("change", () => {
      const [file] = input.files;
      input.value = ""; // the same file may be chosen again
      if (file) take(file);
    });
  }

  /** Follow whether the engine can clone. */
  offer(can) {
    show(this.root, can);
    if (!can && this.dialog.open) this.dialog.close();
  }

  // the dialog

  async open() {
    this.reset();
    this.dialog.showModal();
    this.consent.focus();
    try {
      this.limits = (await api.list()).limits;
    } catch (error) {
      this.report(error.message, true);
    }
  }

  reset() {
    this.cancelRecording();
    this.work = null;
    this.consent.checked = this.keep.checked = false;
    this.name.value = "";
    this.begin();
    this.allow();
  }

  /** Forget what was shown of the recording before. */
  begin() {
    this.audio.pause();
    this.source = null;
    show(part(this.root, "clone-preview"), false);
    show(this.form, false);
    show(this.waveElement, false);
    show(part(this.root, "clone-read"), false);
  }

  report(text, wrong = false) {
    this.status.dataset.state = wrong ? "error" : "";
    say(this.status, text);
  }

  /** Follow the tick of consent. */
  allow() {
    if (!this.consent.checked) {
      this.begin();
      this.cancelRecording();
    }
    this.busy(false);
    this.report(t(this.consent.checked ? "clone_ready" : "clone_tick"));
  }

  busy(on) {
    const may = this.consent.checked && !on;
    this.buttons.record.disabled = !may;
    this.buttons.upload.disabled = this.buttons.import.disabled = !may || this.recorder.recording;
    this.makeButton.disabled = !may;
  }

  // a recording

  async record() {
    this.begin();
    this.peaks = [];
    this.limit_s = this.limits?.recording_s ?? USUAL_RECORDING_S;
    const started = this.recorder.start(this.limit_s);
    this.busy(true);
    try {
      if (!(await started)) return;
    } catch (error) {
      this.showRecording(false);
      this.busy(false);
      this.report(soundTrouble(error), true);
      return;
    }
    this.showRecording(true);
    this.buttons.record.disabled = false;
    this.report(t("clone_reading"));
    this.waveElement.setAttribute("aria-label", t("clone_so_far"));
    show(this.waveElement, true);
  }

  heard(peaks, length_s) {
    this.peaks.push(...peaks);
    this.wave.set({ peaks: this.peaks, peaksPerS: PEAKS_PER_S, length_s: this.limit_s, spans_s: [] });
    say(part(this.root, "clone-record-text"), t("record_stop", { length: clock(length_s) }));
  }

  recorded(wav) {
    this.showRecording(false);
    this.take(wav, t("my_voice"));
  }

  cancelRecording() {
    this.recorder.cancel();
    this.showRecording(false);
  }

  showRecording(on) {
    this.buttons.record.setAttribute("aria-pressed", String(on));
    show(part(this.root, "clone-read"), on);
    if (!on) say(part(this.root, "clone-record-text"), t("record"));
  }

  /** Have the best seconds of a recording picked, and show them. */
  async take(file, name) {
    this.begin();
    const most = this.limits?.recording_bytes ?? Infinity;
    if (file.size > most) {
      this.report(t("clone_too_large", { size: megabytes(file.size), most: megabytes(most) }), true);
      return;
    }
    await this.trying(t("clone_looking"), async (still) => {
      const readable = await readableBy(file);
      const found = await api.preview(readable, this.consent.checked);
      if (still()) this.preview(readable, name, found);
    });
  }

  /** Show what was picked; `found` is what `clone-api.preview` gives. */
  preview(file, name, found) {
    this.source = { file, send: api.make };
    const { peaks, peaks_per_s, recording_s, spans_s } = found;
    const [picked, all] = [found.picked_s, recording_s].map((s) => asNumber(Math.round(s * 10) / 10));
    const length = t("clone_length", { picked, all });
    const described = t("clone_wave", { length });
    this.waveElement.setAttribute("aria-label", described);
    show(this.waveElement, true);
    this.wave.set({ peaks, peaksPerS: peaks_per_s, length_s: recording_s, spans_s });
    this.audio.src = `data:audio/wav;base64,${found.wav}`;
    const loudness = String(found.loudness_lufs).replace("-", "−");
    const key = spans_s.length > 1 ? "clone_picked_places" : "clone_picked";
    const text = t(key, { length, n: spans_s.length, loudness });
    say(part(this.root, "clone-picked"), [text, ...found.notes.map(told)].join(" "));
    show(part(this.root, "clone-preview"), true);
    this.report("");
    this.ask(name);
  }

  takeVoice(file) {
    this.begin();
    const most = this.limits?.file_bytes ?? Infinity;
    if (file.size > most) {
      this.report(t("clone_file_too_large", { size: asNumber(file.size), most: asNumber(most) }), true);
      return;
    }
    this.source = { file, send: api.importVoice };
    this.report(t("clone_imported"));
    this.ask(nameOf(file, /\.safetensors$/i));
  }

  /** Ask for the voice's name; a name that somebody wrote stays. */
  ask(name) {
    if (!this.name.value.trim() || this.name.value === this.suggested) this.name.value = name;
    this.suggested = name;
    show(this.form, true);
    this.makeButton.scrollIntoView({ block: "nearest" });
  }

  async make() {
    const { file, send } = this.source;
    const fields = { consent: this.consent.checked, name: this.name.value, keep: this.keep.checked };
    const work = async (still) => {
      const voice = await send(file, fields);
      if (still()) this.dialog.close();
      await this.made(voice);
    };
    await this.trying(t("clone_making"), work, this.failed);
  }

  /**
   * Do something slow; what goes wrong is told.
   *
   * @param {string} text what is being done
   * @param {(still: () => boolean) => Promise<void>} work `still()` says whether anybody waits for it
   * @param {(sentence: string) => void} unheard is told what goes wrong when nobody does
   */
  async trying(text, work, unheard = () => {}) {
    const mine = {};
    this.work = mine;
    const still = () => this.work === mine;
    this.report(text);
    this.busy(true);
    try {
      await work(still);
    } catch (error) {
      if (still()) this.report(error.message, true);
      else unheard(error.message);
    } finally {
      if (still()) this.busy(false);
    }
  }

  // hearing what was picked

  async play() {
    this.playButton.setAttribute("aria-pressed", "true");
    say(this.playButton, t("stop"));
    this.audio.currentTime = 0;
    this.rest = everyFrame(() => this.wave.mark(this.audio.currentTime));
    try {
      await this.audio.play();
    } catch {
      this.played();
    }
  }

  played() {
    this.rest?.();
    this.rest = null;
    this.playButton.setAttribute("aria-pressed", "false");
    say(this.playButton, t("play"));
    this.wave.mark(null);
  }
}
