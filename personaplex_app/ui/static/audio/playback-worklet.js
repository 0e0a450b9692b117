// The loudspeaker's thread: plays what arrives through the jitter ring and tells what was really played.

import { PEAK_SAMPLES, SAMPLE_RATE_HZ } from "./format.js";
import { JitterRing } from "./jitter-ring.js";
import { Resampler } from "./resampler.js";

const PEAKS_A_MESSAGE = 2;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ring = new JitterRing(SAMPLE_RATE_HZ);
    this.resampler = sampleRate === SAMPLE_RATE_HZ ? null : new Resampler(SAMPLE_RATE_HZ, sampleRate);
    this.ready = new Float32Array(0);
    this.block = new Float32Array(128);
    this.firstPeak = 0;
    this.peaks = [];
    this.untilReport = sampleRate;
    this.over = false;
    this.port.onmessage = ({ data }) => {
      if (data.sound) data.sound.onmessage = (event) => this.ring.push(event.data.pcm);
      if (data.skip) this.ring.skip();
      if (data.close) this.over = true;
    };
  }

  process(inputs, outputs) {
    const out = outputs[0][0];
    if (this.resampler) this.convert(out);
    else this.pull(out);
    for (let c = 1; c < outputs[0].length; c++) outputs[0][c].set(out);
    this.untilReport -= out.length;
    if (this.untilReport <= 0) {
      this.untilReport += sampleRate;
      this.port.postMessage({ report: this.ring.report() });
    }
    return !this.over;
  }

  convert(out) {
    while (this.ready.length < out.length) {
      this.pull(this.block);
      const more = this.resampler.push(this.block);
      const joined = new Float32Array(this.ready.length + more.length);
      joined.set(this.ready);
      joined.set(more, this.ready.length);
      this.ready = joined;
    }
    out.set(this.ready.subarray(0, out.length));
    this.ready = this.ready.slice(out.length);
  }

  pull(out) {
    this.ring.pull(out);
    let peak = 0;
    for (let i = 0; i < out.length; i++) peak = Math.max(peak, Math.abs(out[i]));
    if (this.ring.started) this.note(Math.floor(this.ring.read / PEAK_SAMPLES), peak);
  }

  /** Collect the envelope of what was played, by its place in the received stream. */
  note(point, peak) {
    while (this.firstPeak + this.peaks.length <= point) this.peaks.push(0);
    const at = point - this.firstPeak;
    if (at >= 0) this.peaks[at] = Math.max(this.peaks[at], peak);
    if (this.peaks.length > PEAKS_A_MESSAGE) {
      const done = this.peaks.splice(0, this.peaks.length - 1);
      this.port.postMessage({ first: this.firstPeak, peaks: Float32Array.from(done) });
      this.firstPeak += done.length;
    }
  }
}

registerProcessor("personaplex-playback", Playback);
