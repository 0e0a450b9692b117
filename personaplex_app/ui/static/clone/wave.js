// The envelope of a recording, the parts that were picked in the agent's ink.

import { PEAKS_PER_S } from "../audio/format.js";
import { coloursOf, fitCanvas, onThemeChange } from "../shared/dom.js";

const COLOURS = { picked: "--agent", rest: "--edge", line: "--rule", now: "--ink" };
const CURVE = 0.6; // soft sounds are seen too, and loud ones still differ
const LEAST_FULL = 0.2; // a whisper does not fill the height

export class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
    new ResizeObserver(() => this.draw()).observe(canvas);
    onThemeChange(() => this.draw());
  }

  clear() {
    this.set({ peaks: [], peaksPerS: PEAKS_PER_S, length_s: 1, spans_s: [] });
  }

  /**
   * @param {object} shown
   * @param {number[]} shown.peaks the envelope, 0 to 1
   * @param {number} shown.peaksPerS
   * @param {number} shown.length_s what the whole width stands for
   * @param {[number, number][]} shown.spans_s the picked parts
   */
  set(shown) {
    this.shown = shown;
    this.now_s = null;
    this.draw();
  }

  /** Mark where in the recording the picked sound is after `at_s` of it. */
  mark(at_s) {
    this.now_s = null;
    let left_s = at_s;
    for (const [start_s, end_s] of at_s === null ? [] : this.shown.spans_s) {
      if (left_s <= end_s - start_s) {
        this.now_s = start_s + left_s;
        break;
      }
      left_s -= end_s - start_s;
    }
    this.draw();
  }

  draw() {
    const { width, height } = this.canvas.getBoundingClientRect();
    if (!width || !height) return;
    const context = this.canvas.getContext("2d");
    const ink = coloursOf(this.canvas, COLOURS);
    fitCanvas(this.canvas, context, width, height);
    context.clearRect(0, 0, width, height);
    context.fillStyle = ink.line;
    context.fillRect(0, height / 2, width, 1);
    const { peaks, peaksPerS, length_s, spans_s } = this.shown;
    const pxPerS = width / length_s;
    const full = peaks.reduce((most, peak) => Math.max(most, peak), LEAST_FULL);
    for (let x = 0; x < width; x += 3) {
      const from = Math.floor((x / pxPerS) * peaksPerS);
      const to = Math.max(from + 1, Math.floor(((x + 3) / pxPerS) * peaksPerS));
      if (from >= peaks.length) break;
      const peak = Math.max(...peaks.slice(from, to));
      const tall = Math.max(1, (peak / full) ** CURVE * (height - 16));
      const at_s = (x + 1) / pxPerS;
      const picked = spans_s.some(([start_s, end_s]) => at_s >= start_s && at_s < end_s);
      context.fillStyle = picked ? ink.picked : ink.rest;
      context.fillRect(x, (height - tall) / 2, 2, tall);
    }
    if (this.now_s !== null) {
      context.fillStyle = ink.now;
      context.fillRect(this.now_s * pxPerS, 0, 2, height);
    }
  }
}
