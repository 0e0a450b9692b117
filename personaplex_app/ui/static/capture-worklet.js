// The microphone's thread: cuts sound into frames of 1920 samples at 24 kHz and hands each over the moment it is full.

import { Resampler } from "./resampler.js";

const RATE_HZ = 24000;
const FRAME = 1920;
const BIN = 480; // one envelope point: 20 ms

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.running = false;
    this.muted = false;
    this.over = false;
    this.resampler = sampleRate === RATE_HZ ? null : new Resampler(sampleRate, RATE_HZ);
    this.reset();
    this.sound = null; // whither frames go, and whence the word to begin comes
    this.port.onmessage = ({ data }) => {
      if (data.sound) {
        this.sound = data.sound;
        this.sound.onmessage = () => {
          this.reset();
          this.running = true;
        };
      }
      if (data.muted !== undefined) this.muted = data.muted;
      if (data.close) this.over = true;
    };
  }

  reset() {
    this.frame = new Int16Array(FRAME);
    this.at = 0;
    this.peaks = new Float32Array(FRAME / BIN);
  }

  process(inputs) {
    const heard = inputs[0][0];
    if (this.running) {
      // an unplugged microphone gives no channel at all; the talk's clock runs on
      const samples = heard ?? new Float32Array(128);
      this.take(this.resampler ? this.resampler.push(samples) : samples);
    }
    return !this.over;
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

registerProcessor("personaplex-capture", Capture);
