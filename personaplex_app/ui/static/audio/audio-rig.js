// Microphone and loudspeaker of one talk. Threads of their own do the work; this file wires them.

import { SAMPLE_RATE_HZ } from "./format.js";

const CONSTRAINTS = {
  audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
};
const CODES = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "no-microphone",
  NotReadableError: "busy-microphone",
};
const beside = (module) => new URL(module, import.meta.url).href;

/** Why no sound can be had, as a code that `shared/texts.js` has a sentence for. */
export class AudioTrouble extends Error {
  constructor(code, cause) {
    super(code, { cause });
    this.code = code;
  }
}

async function openMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new AudioTrouble("insecure");
  try {
    return await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
  } catch (error) {
    throw new AudioTrouble(CODES[error.name] ?? "no-microphone", error);
  }
}

/** Everything audible of one talk. The sound itself goes through `ports()`. */
export class AudioRig {
  /**
   * Call it, and `open`, from a click: browsers let sound begin only there.
   *
   * @param {object} on
   * @param {(peaks: Float32Array) => void} on.heard the microphone's envelope, PEAKS_PER_S points a second, 0 to 1
   * @param {() => void} on.unplugged the microphone went away
   * @param {(first: number, peaks: Float32Array) => void} [on.played] the loudspeaker's envelope from point `first`
   * @param {(report: object) => void} [on.report] once a second: `JitterRing.report()` and output_ms
   */
  constructor(on) {
    this.on = on;
    this.closed = false;
    this.output = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
    this.output.resume();
  }

  /** Open both ends. Throws AudioTrouble. */
  async open() {
    this.stream = await openMicrophone();
    if (this.closed) {
      this.release();
      return;
    }
    const [track] = this.stream.getAudioTracks();
    track.onended = () => this.on.unplugged();
    await this.openPlayback();
    await this.openCapture();
    if (this.closed) this.release();
  }

  async openPlayback() {
    await this.output.audioWorklet.addModule(beside("playback-worklet.js"));
    const options = { numberOfInputs: 0, outputChannelCount: [1] };
    this.player = new AudioWorkletNode(this.output, "personaplex-playback", options);
    this.player.port.onmessage = ({ data }) => {
      if (data.peaks) this.on.played?.(data.first, data.peaks);
      if (data.report) {
        const output_ms = Math.round((this.output.outputLatency || 0) * 1000);
        this.on.report?.({ ...data.report, output_ms });
      }
    };
    this.player.connect(this.output.destination);
  }

  async openCapture() {
    if ("MediaStreamTrackProcessor" in window) this.readTrack();
    else await this.readContext();
    this.capture.onmessage = ({ data }) => this.on.heard(data.peaks);
  }

  readTrack() {
    this.capture = new Worker(beside("capture-worker.js"), { type: "module" });
    const { readable } = new window.MediaStreamTrackProcessor({ track: this.stream.getAudioTracks()[0] });
    this.capture.postMessage({ track: readable }, [readable]);
  }

  async readContext() {
    // a context of its own: sharing the output's adds its buffer once more to the way from mouth to ear
    let source;
    try {
      this.input = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
      source = this.input.createMediaStreamSource(this.stream);
    } catch {
      // Firefox connects a microphone only to a context of the device's own rate: resample in the worklet
      this.input.close();
      this.input = new AudioContext({ latencyHint: "interactive" });
      source = this.input.createMediaStreamSource(this.stream);
    }
    await this.input.audioWorklet.addModule(beside("capture-worklet.js"));
    const options = { numberOfInputs: 1, outputChannelCount: [1] };
    const node = new AudioWorkletNode(this.input, "personaplex-capture", options);
    this.capture = node.port;
    source.connect(node);
    // a node is run only when something is behind it; its output is silence
    node.connect(this.input.destination);
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
    this.capture?.postMessage({ close: true });
    this.player?.port.postMessage({ close: true });
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    for (const context of [this.output, this.input]) {
      if (context && context.state !== "closed") context.close();
    }
  }
}
