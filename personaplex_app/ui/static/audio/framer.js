// Cuts the microphone's sound into frames at 24 kHz and hands each over the moment it is full.

import { FRAME_SAMPLES, PEAK_SAMPLES, SAMPLE_RATE_HZ } from "./format.js";
import { Resampler } from "./resampler.js";

export class Framer {
  /**
   * @param {object} port brings {sound: MessagePort}, {muted: boolean} and {close: true}, and takes {peaks} of each
   *   frame; the frames go as {pcm: Int16Array} to the port `sound`, whose first message starts them
   * @param {() => void} closed
   */
  constructor(port, closed) {
    this.port = port;
    this.running = false;
    this.muted = false;
    this.rate = SAMPLE_RATE_HZ;
    this.resampler = null;
    this.reset();
    this.sound = null; // where frames go, and where the message to begin comes from
    port.onmessage = ({ data }) => {
      if (data.sound) {
        this.sound = data.sound;
        this.sound.onmessage = () => {
          this.reset();
          this.running = true;
        };
      }
      if (data.muted !== undefined) this.muted = data.muted;
      if (data.close) closed();
    };
  }

  reset() {
    this.frame = new Int16Array(FRAME_SAMPLES);
    this.at = 0;
    this.peaks = new Float32Array(FRAME_SAMPLES / PEAK_SAMPLES);
  }

  /** Take the next samples, Float32Array at `rateHz`. */
  push(samples, rateHz) {
    if (!this.running) return;
    if (rateHz !== this.rate) {
      this.rate = rateHz;
      this.resampler = rateHz === SAMPLE_RATE_HZ ? null : new Resampler(rateHz, SAMPLE_RATE_HZ);
    }
    this.take(this.resampler ? this.resampler.push(samples) : samples);
  }

  take(samples) {
    for (let i = 0; i < samples.length; i++) {
      // muted means silence is sent, never that nothing is: the other side counts frames
      const x = this.muted || !Number.isFinite(samples[i]) ? 0 : Math.max(-1, Math.min(1, samples[i]));
      const bin = Math.floor(this.at / PEAK_SAMPLES);
      this.peaks[bin] = Math.max(this.peaks[bin], Math.abs(x));
      this.frame[this.at++] = Math.round(x * 32767);
      if (this.at === FRAME_SAMPLES) {
        this.sound.postMessage({ pcm: this.frame }, [this.frame.buffer]);
        this.port.postMessage({ peaks: this.peaks }, [this.peaks.buffer]);
        this.reset();
      }
    }
  }
}
