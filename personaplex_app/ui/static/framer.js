// Cuts the microphone's sound into frames of 1920 samples at 24 kHz and hands each over the moment it is full.

import { Resampler } from "./resampler.js";

const RATE_HZ = 24000;
const FRAME = 1920;
const BIN = 480; // one envelope point: 20 ms

export class Framer {
  /** `port` brings {sound: port}, {muted} and {close}, and takes {peaks} of each frame; the frames go to the port `sound`. */
  constructor(port, closed) {
    this.port = port;
    this.running = false;
    this.muted = false;
    this.rate = RATE_HZ;
    this.resampler = null;
    this.reset();
    this.sound = null; // whither frames go, and whence the word to begin comes
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
    this.frame = new Int16Array(FRAME);
    this.at = 0;
    this.peaks = new Float32Array(FRAME / BIN);
  }

  /** Take the next samples, Float32Array at `rateHz`. */
  push(samples, rateHz) {
    if (!this.running) return;
    if (rateHz !== this.rate) {
      this.rate = rateHz;
      this.resampler = rateHz === RATE_HZ ? null : new Resampler(rateHz, RATE_HZ);
    }
    this.take(this.resampler ? this.resampler.push(samples) : samples);
  }

  take(samples) {
    for (let i = 0; i < samples.length; i++) {
      // muted means silence is sent, never that nothing is: the other side counts frames
      const x = this.muted || !Number.isFinite(samples[i]) ? 0 : Math.max(-1, Math.min(1, samples[i]));
      const bin = (this.at / BIN) | 0;
      this.peaks[bin] = Math.max(this.peaks[bin], Math.abs(x));
      this.frame[this.at++] = Math.round(x * 32767);
      if (this.at === FRAME) {
        this.sound.postMessage({ pcm: this.frame }, [this.frame.buffer]);
        this.port.postMessage({ peaks: this.peaks }, [this.peaks.buffer]);
        this.reset();
      }
    }
  }
}
