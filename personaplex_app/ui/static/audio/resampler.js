// A streaming windowed-sinc resampler, for browsers that do not run the microphone at 24 kHz.

const HALF_TAPS = 16;
const PHASES = 256;

export class Resampler {
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz;
    this.table = kernel(Math.min(1, toHz / fromHz));
    this.input = new Float32Array(HALF_TAPS);
    this.position = HALF_TAPS; // of the next output sample, in input samples
  }

  /** Return the output samples that `input` completes, Float32Array. */
  push(input) {
    const joined = new Float32Array(this.input.length + input.length);
    joined.set(this.input);
    joined.set(input, this.input.length);
    const out = [];
    while (this.position + HALF_TAPS < joined.length) {
      const whole = Math.floor(this.position);
      const row = Math.round((this.position - whole) * PHASES) * 2 * HALF_TAPS;
      let sum = 0;
      for (let k = 0; k < 2 * HALF_TAPS; k++) sum += joined[whole - HALF_TAPS + 1 + k] * this.table[row + k];
      out.push(sum);
      this.position += this.step;
    }
    const used = Math.max(0, Math.floor(this.position) - HALF_TAPS);
    this.input = joined.slice(used);
    this.position -= used;
    return Float32Array.from(out);
  }
}

function kernel(bandwidth) {
  // a little below the lower Nyquist: 32 taps need room to fall
  const cut = bandwidth * 0.92;
  const table = new Float32Array((PHASES + 1) * 2 * HALF_TAPS);
  for (let phase = 0; phase <= PHASES; phase++) {
    let sum = 0;
    const row = phase * 2 * HALF_TAPS;
    for (let k = 0; k < 2 * HALF_TAPS; k++) {
      const x = k - HALF_TAPS + 1 - phase / PHASES;
      const window = Math.abs(x) < HALF_TAPS ? 0.5 + 0.5 * Math.cos((Math.PI * x) / HALF_TAPS) : 0;
      const y = x === 0 ? 1 : Math.sin(Math.PI * cut * x) / (Math.PI * cut * x);
      table[row + k] = y * window;
      sum += y * window;
    }
    for (let k = 0; k < 2 * HALF_TAPS; k++) table[row + k] /= sum;
  }
  return table;
}
