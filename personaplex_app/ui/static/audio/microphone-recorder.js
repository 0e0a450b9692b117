// Records the microphone for as long as somebody needs to say something, and gives it as a wav file.

import { AudioRig } from "./audio-rig.js";
import { FRAME_S, PEAKS_PER_S } from "./format.js";
import { wavOf } from "./wav.js";

export class MicrophoneRecorder {
  /**
   * @param {object} on
   * @param {(peaks: Float32Array, length_s: number) => void} on.heard the envelope since the last call, and how
   *   much is recorded by now
   * @param {(wav: Blob) => void} on.ended called once, at `finish()`, at the limit, or when the microphone goes away
   */
  constructor(on) {
    this.on = on;
    this.rig = null;
  }

  get recording() {
    return this.rig !== null;
  }

  /**
   * Open the microphone and record, for at most `limit_s` seconds; false when it was cancelled meanwhile.
   * Throws AudioTrouble where there is no microphone.
   */
  async start(limit_s) {
    let peaks = 0;
    const rig = new AudioRig({
      heard: (each) => {
        if (this.rig !== rig) return;
        peaks += each.length;
        const length_s = peaks / PEAKS_PER_S;
        this.on.heard(each, length_s);
        if (length_s >= limit_s - FRAME_S) this.finish();
      },
      trouble: (kind, on) => on && kind === "unplugged" && this.finish(),
    });
    this.rig = rig;
    this.frames = [];
    this.limitFrames = Math.floor(limit_s / FRAME_S);
    try {
      await rig.open();
    } catch (error) {
      this.cancel();
      throw error;
    }
    if (this.rig !== rig) return false;
    const { capture } = rig.ports();
    capture.onmessage = ({ data }) => this.frames.push(data.pcm);
    capture.postMessage("begin");
    return true;
  }

  /** Stop, and hand over what was recorded. */
  finish() {
    if (!this.rig) return;
    this.cancel();
    // a busy page may have stopped a little late
    this.on.ended(wavOf(this.frames.slice(0, this.limitFrames)));
  }

  /** Stop, and forget what was recorded. */
  cancel() {
    this.rig?.close();
    this.rig = null;
  }
}
