// Microphone and loudspeaker of one talk. Threads of their own do the work; this file wires them.

import { SAMPLE_RATE_HZ } from "./protocol.js";

const CONSTRAINTS = { audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } };

/** Why no sound can be had, as a word of `messages.js`. */
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
    const codes = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "no-microphone", NotReadableError: "busy-microphone" };
    throw new AudioTrouble(codes[error.name] ?? "no-microphone", error);
  }
}

/**
 * Everything audible of one talk. `on` has: heard(peaks), played(firstBin, peaks), report(object), unplugged(). The sound itself goes
 * through `ports()`. Call `open` from a click: browsers let sound begin only there.
 */
export class AudioRig {
  constructor(folder, on) {
    this.folder = folder;
    this.on = on;
    this.closed = false;
    this.output = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
    this.output.resume();
  }

  async open() {
    this.stream = await openMicrophone();
    if (this.closed) return this.release();
    const track = this.stream.getAudioTracks()[0];
    track.onended = () => this.on.unplugged();
    await this.output.audioWorklet.addModule(`${this.folder}/playback-worklet.js`);
    this.player = new AudioWorkletNode(this.output, "personaplex-playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.player.port.onmessage = ({ data }) => {
      if (data.peaks) this.on.played(data.first, data.peaks);
      if (data.report) this.on.report({ ...data.report, output_ms: Math.round((this.output.outputLatency || 0) * 1000) });
    };
    this.player.connect(this.output.destination);
    await this.openCapture();
    if (this.closed) this.release();
  }

  async openCapture() {
    if ("MediaStreamTrackProcessor" in window) this.readTrack();
    else await this.readContext();
    this.capture.onmessage = ({ data }) => this.on.heard(data.peaks);
  }

  readTrack() {
    this.capture = new Worker(`${this.folder}/capture-worker.js`, { type: "module" });
    const { readable } = new MediaStreamTrackProcessor({ track: this.stream.getAudioTracks()[0] });
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
    await this.input.audioWorklet.addModule(`${this.folder}/capture-worklet.js`);
    const node = new AudioWorkletNode(this.input, "personaplex-capture", { numberOfInputs: 1, outputChannelCount: [1] });
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
    for (const context of [this.output, this.input]) if (context && context.state !== "closed") context.close();
  }
}
