// The sheet on which a voice is cloned: consent, a recording, what was picked from it, a name.

import * as api from "./api.js";
import { AudioRig, AudioTrouble } from "./audio.js";
import { clock, everyFrame, part, say, show } from "./dom.js";
import { audioTrouble } from "./messages.js";
import { FRAME_S } from "./protocol.js";
import { readableBy, wavOf } from "./wav.js";
import { Wave } from "./wave.js";

const TEXT = {
  consent: "Tick the box first: a voice is cloned only with consent.",
  ready: "Ten to twenty seconds of one person talking are enough, in a quiet place. A minute is the most.",
  reading: "Recording. Read this, or say anything:",
  looking: "Looking for the best seconds of speech…",
  making: "Making the voice…",
  imported: "A voice file needs no preview. Give it a name.",
};
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

export class CloneSheet {
  /** `made(voice)` is called with a new voice, `failed(sentence)` when there is none and the sheet is closed. */
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
    for (const event of ["ended", "pause", "error"]) this.audio.addEventListener(event, () => this.played());

    const click = (id, work) => byId(id).addEventListener("click", work);
    click("open", () => this.open());
    click("close", () => this.dialog.close());
    click("record", () => (this.rig ? this.endRecording() : this.record()));
    click("upload", () => this.files.upload.click());
    click("import", () => this.files.import.click());
    click("play", () => (this.audio.paused ? this.play() : this.audio.pause()));
    this.consent.addEventListener("change", () => this.allow());
    for (const [kind, input] of Object.entries(this.files)) {
      input.addEventListener("change", () => {
        const [file] = input.files;
        input.value = "";
        if (file) (kind === "upload" ? this.take(file) : this.takeVoice(file));
      });
    }
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.make();
    });
    this.dialog.addEventListener("close", () => this.reset());
    // the page's own keys start and stop talks
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
  }

  /** Follow whether the engine can. */
  offer(can) {
    show(this.root, can);
    if (!can && this.dialog.open) this.dialog.close();
  }

  // the sheet

  async open() {
    this.reset();
    this.dialog.showModal();
    this.consent.focus();
    try {
      this.limits = (await api.clones()).limits;
    } catch (error) {
      this.report(error.message, true);
    }
  }

  reset() {
    this.rig?.close();
    this.rig = null;
    this.audio.pause();
    this.source = null;
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

  allow() {
    if (!this.consent.checked) this.begin();
    if (!this.consent.checked && this.rig) this.stopRig();
    this.busy(false);
    this.report(this.consent.checked ? TEXT.ready : TEXT.consent);
  }

  busy(on) {
    const may = this.consent.checked && !on;
    this.buttons.record.disabled = !may;
    this.buttons.upload.disabled = this.buttons.import.disabled = !may || Boolean(this.rig);
    this.makeButton.disabled = !may;
  }

  // a recording

  async record() {
    this.begin();
    this.frames = [];
    const peaks = [];
    const rig = new AudioRig(api.folder, {
      heard: (each) => {
        if (this.rig !== rig) return;
        peaks.push(...each);
        this.wave.set({ peaks, peaksPerS: 50, length_s: this.limits?.recording_s ?? 60, spans_s: [] });
        say(part(this.root, "clone-record-text"), `Stop · ${clock(peaks.length / 50)}`);
        if (peaks.length / 50 >= (this.limits?.recording_s ?? 60) - 0.1) this.endRecording();
      },
      played() {},
      report() {},
      unplugged: () => this.endRecording(),
    });
    this.rig = rig;
    this.busy(true);
    try {
      await rig.open();
    } catch (error) {
      this.stopRig();
      this.busy(false);
      this.report(error instanceof AudioTrouble ? audioTrouble(error.code) : `The sound could not be started: ${error.message}`, true);
      return;
    }
    if (this.rig !== rig) return;
    const { capture } = rig.ports();
    capture.onmessage = ({ data }) => this.frames.push(data.pcm);
    capture.postMessage("begin");
    this.buttons.record.setAttribute("aria-pressed", "true");
    this.buttons.record.disabled = false;
    this.report(TEXT.reading);
    show(part(this.root, "clone-read"), true);
    this.waveElement.setAttribute("aria-label", "Your recording so far");
    show(this.waveElement, true);
  }

  stopRig() {
    this.rig?.close();
    this.rig = null;
    this.buttons.record.setAttribute("aria-pressed", "false");
    say(part(this.root, "clone-record-text"), "Record");
  }

  endRecording() {
    if (!this.rig) return;
    this.stopRig();
    show(part(this.root, "clone-read"), false);
    // a busy page may have stopped a little late
    this.take(wavOf(this.frames.slice(0, Math.floor((this.limits?.recording_s ?? 60) / FRAME_S))), "My voice");
  }

  /** Have the best seconds picked, and show them. */
  async take(file, name = file.name.replace(/\.[^.]*$/, "").slice(0, 40)) {
    this.begin();
    const most = this.limits?.recording_bytes ?? Infinity;
    if (file.size > most) return this.report(`That file has ${megabytes(file.size)}; the limit is ${megabytes(most)}. Cut it to a minute or less.`, true);
    await this.trying(TEXT.looking, async (still) => {
      const readable = await readableBy(file);
      const found = await api.previewClone(readable, this.consent.checked);
      if (still()) this.preview(readable, name, found);
    });
    return null;
  }

  preview(file, name, found) {
    this.source = { file, send: api.makeClone };
    this.found = found;
    const length = `${found.picked_s.toFixed(1)} of ${found.recording_s.toFixed(1)} seconds`;
    this.waveElement.setAttribute("aria-label", `The recording: ${length} were picked, drawn in the agent's colour.`);
    show(this.waveElement, true);
    this.wave.set({ peaks: found.peaks, peaksPerS: found.peaks_per_s, length_s: found.recording_s, spans_s: found.spans_s });
    this.audio.src = `data:audio/wav;base64,${found.wav}`;
    const parts = found.spans_s.length > 1 ? ` from ${found.spans_s.length} places` : "";
    say(part(this.root, "clone-picked"), `${length} picked${parts}, brought to ${String(found.loudness_lufs).replace("-", "−")} LUFS. This is what the model hears.`);
    show(part(this.root, "clone-preview"), true);
    this.report("");
    this.ask(name);
  }

  takeVoice(file) {
    this.begin();
    const most = this.limits?.file_bytes ?? Infinity;
    if (file.size > most) return this.report(`That file has ${file.size.toLocaleString()} bytes; a voice has at most ${most.toLocaleString()}. Choose one that was exported here.`, true);
    this.source = { file, send: api.importClone };
    this.report(TEXT.imported);
    this.ask(file.name.replace(/\.safetensors$/i, "").slice(0, 40));
    return null;
  }

  ask(name) {
    if (!this.name.value.trim() || this.name.value === this.suggested) this.name.value = name;
    this.suggested = name;
    show(this.form, true);
    this.makeButton.scrollIntoView({ block: "nearest" });
  }

  async make() {
    const { file, send } = this.source;
    await this.trying(TEXT.making, async (still) => {
      const voice = await send(file, { consent: this.consent.checked, name: this.name.value, keep: this.keep.checked });
      if (still()) this.dialog.close();
      await this.made(voice);
    }, this.failed);
  }

  /** Do something slow; what goes wrong is told. `still()` says whether anybody waits for it. */
  async trying(text, work, unheard = () => {}) {
    const mine = (this.work = {});
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

  // hearing it

  async play() {
    this.playButton.setAttribute("aria-pressed", "true");
    say(this.playButton, "Stop");
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
    say(this.playButton, "Play");
    this.wave.mark(null);
  }
}
