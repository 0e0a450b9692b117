// Microphone and loudspeaker of one talk. Threads of their own do the work; this file wires them.

import { chosenId } from "./devices.js";
import { SAMPLE_RATE_HZ } from "./format.js";
import { openMicrophone } from "./microphone.js";

const LOOK_EVERY_MS = 1000;
// a loudspeaker that plays reports once a second
const STALLED_MS = 3500;
const beside = (module) => new URL(module, import.meta.url).href;

/** Everything audible of one talk. The sound itself goes through `ports()`. */
export class AudioRig {
  /**
   * Call it, and `open`, from a click: browsers let sound begin only there.
   *
   * @param {object} on
   * @param {(peaks: Float32Array) => void} on.heard the microphone's envelope, PEAKS_PER_S points a second, 0 to 1
   * @param {(kind: string, on: boolean) => void} on.trouble something is wrong with a device, or is no more:
   *   "unplugged", "microphoneMuted", "microphoneSilent", "soundStopped" or "loudspeakerSilent"
   * @param {(first: number, peaks: Float32Array) => void} [on.played] the loudspeaker's envelope from point `first`
   * @param {(report: object) => void} [on.report] once a second: `JitterRing.report()` and output_ms
   */
  constructor(on) {
    this.on = on;
    this.closed = false;
    this.output = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
    this.output.resume();
    this.useLoudspeaker();
    this.leaving = new AbortController();
    this.reopening = false;
  }

  /** Open both ends. Throws AudioTrouble. */
  async open() {
    this.stream = await openMicrophone();
    if (this.closed) {
      this.release();
      return;
    }
    await this.openPlayback();
    await this.openCapture();
    this.watchTrack();
    this.watch();
    if (this.closed) this.release();
  }

  // what may happen to the devices in mid-talk

  watch() {
    const { signal } = this.leaving;
    for (const context of [this.output, this.input]) {
      context?.addEventListener("statechange", () => this.wake(), { signal });
    }
    // a sound that the system took away may come back at a press, or when the page is seen again
    for (const event of ["pointerdown", "keydown", "focus", "pageshow"]) {
      window.addEventListener(event, () => this.wake(), { signal, capture: true });
    }
    // another tab or a call that took the microphone does not give it back by itself
    window.addEventListener("pointerdown", () => this.taken && this.reopen(), { signal, capture: true });
    for (const event of ["visibilitychange", "resume"]) {
      document.addEventListener(event, () => this.wake(), { signal });
    }
    navigator.mediaDevices.addEventListener?.("devicechange", () => this.devicesChanged(), { signal });
    this.reported_ms = performance.now();
    this.looking = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /** Have stopped sound go on, and say so while it does not. */
  wake() {
    if (this.closed) return;
    const stopped = [this.output, this.input].filter((each) => each && each.state !== "running");
    for (const context of stopped) context.resume().catch(() => {});
    this.on.trouble("soundStopped", stopped.length > 0);
    if (this.wasStopped && !stopped.length) this.skip();
    this.wasStopped = stopped.length > 0;
  }

  /** Leave out what waited while nothing was played. */
  skip() {
    this.player.port.postMessage({ skip: true });
    this.reported_ms = performance.now();
  }

  look() {
    const stalled = this.output.state === "running" && performance.now() - this.reported_ms > STALLED_MS;
    this.on.trouble("loudspeakerSilent", stalled);
    if (stalled) this.stalled = true;
  }

  devicesChanged() {
    this.useLoudspeaker();
    this.wake();
    if (this.track.readyState === "ended") this.reopen();
  }

  watchTrack() {
    const { track, on } = this;
    const muted = (taken) => {
      this.taken = taken;
      on.trouble("microphoneMuted", taken);
    };
    track.onended = () => {
      muted(false);
      on.trouble("unplugged", true);
      this.reopen();
    };
    track.onmute = () => muted(true);
    track.onunmute = () => muted(false);
    if (track.muted) track.onmute();
  }

  /** Take the "audioinput" or "audiooutput" that is chosen now. */
  use(kind) {
    if (kind === "audioinput") this.reopen();
    else this.useLoudspeaker();
  }

  /** Play through the chosen loudspeaker, the system's own where that is gone or cannot be chosen. */
  async useLoudspeaker() {
    const { output } = this;
    if (!output.setSinkId) return;
    const id = await chosenId("audiooutput");
    output.setSinkId(id).catch(() => output.setSinkId("").catch(() => {}));
  }

  /** Play a note, for somebody who tries a loudspeaker. */
  note(hz, after_s, length_s) {
    const start_s = this.output.currentTime + after_s;
    const note = new OscillatorNode(this.output, { frequency: hz });
    const gain = new GainNode(this.output, { gain: 0 });
    gain.gain.linearRampToValueAtTime(0.2, start_s + 0.02);
    gain.gain.setTargetAtTime(0, start_s + 0.05, length_s / 4);
    note.connect(gain).connect(this.output.destination);
    note.start(start_s);
    note.stop(start_s + length_s * 2);
  }

  /** Take whichever microphone is chosen, or there is, in place of the one that is open. */
  async reopen() {
    if (this.reopening) return;
    this.reopening = true;
    const stream = await openMicrophone().catch(() => null);
    this.reopening = false;
    if (!stream) return; // the next change of devices tries again
    for (const each of this.stream.getTracks()) each.stop();
    this.stream = stream;
    if (this.closed) {
      this.release();
      return;
    }
    this.feed();
    this.taken = false;
    this.on.trouble("microphoneMuted", false);
    this.on.trouble("unplugged", false);
    this.watchTrack();
  }

  get track() {
    return this.stream.getAudioTracks()[0];
  }

  async openPlayback() {
    await this.output.audioWorklet.addModule(beside("playback-worklet.js"));
    const options = { numberOfInputs: 0, outputChannelCount: [1] };
    this.player = new AudioWorkletNode(this.output, "personaplex-playback", options);
    this.player.port.onmessage = ({ data }) => {
      if (data.peaks) this.on.played?.(data.first, data.peaks);
      if (data.report) {
        this.reported_ms = performance.now();
        if (this.stalled) this.skip();
        this.stalled = false;
        const output_ms = Math.round((this.output.outputLatency || 0) * 1000);
        this.on.report?.({ ...data.report, output_ms });
      }
    };
    this.player.connect(this.output.destination);
  }

  async openCapture() {
    if ("MediaStreamTrackProcessor" in window) {
      this.capture = new Worker(beside("capture-worker.js"), { type: "module" });
      this.feed();
    } else {
      await this.readContext();
    }
    this.capture.onmessage = ({ data }) => {
      if (data.peaks) this.on.heard(data.peaks);
      if (data.starved !== undefined) this.on.trouble("microphoneSilent", data.starved);
    };
  }

  /** Lead the microphone to whoever cuts its sound into frames. */
  feed() {
    if (this.input) {
      this.source.disconnect();
      this.source = this.input.createMediaStreamSource(this.stream);
      this.source.connect(this.framing);
      return;
    }
    const { readable } = new window.MediaStreamTrackProcessor({ track: this.track });
    this.capture.postMessage({ track: readable }, [readable]);
  }

  async readContext() {
    // a context of its own: sharing the output's adds its buffer once more to the way from mouth to ear
    try {
      this.input = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
      this.source = this.input.createMediaStreamSource(this.stream);
    } catch {
      // Firefox connects a microphone only to a context of the device's own rate: resample in the worklet
      this.input.close();
      this.input = new AudioContext({ latencyHint: "interactive" });
      this.source = this.input.createMediaStreamSource(this.stream);
    }
    await this.input.audioWorklet.addModule(beside("capture-worklet.js"));
    const options = { numberOfInputs: 1, outputChannelCount: [1] };
    this.framing = new AudioWorkletNode(this.input, "personaplex-capture", options);
    this.capture = this.framing.port;
    this.source.connect(this.framing);
    // a node is run only when something is behind it; its output is silence
    this.framing.connect(this.input.destination);
  }

  /** The ends of two channels to the audio threads: frames {pcm} come out of `capture`, {pcm} goes into `playback`. */
  ports() {
    const [capture, playback] = [this.capture, this.player.port].map((port) => {
      const { port1, port2 } = new MessageChannel();
      port.postMessage({ sound: port1 }, [port1]);
      return port2;
    });
    return { capture, playback };
  }

  /** Send silence in place of what the microphone hears. */
  mute(on) {
    this.capture?.postMessage({ muted: on });
  }

  close() {
    this.closed = true;
    this.release();
  }

  release() {
    this.leaving.abort();
    clearInterval(this.looking);
    this.capture?.postMessage({ close: true });
    this.player?.port.postMessage({ close: true });
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = track.onmute = track.onunmute = null;
      track.stop();
    }
    for (const context of [this.output, this.input]) {
      if (context && context.state !== "closed") context.close();
    }
  }
}
