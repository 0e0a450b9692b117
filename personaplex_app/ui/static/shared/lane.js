// The duplex lane: two people on one moving time axis, drawn as they sound. Live in a talk, still everywhere else.

import { clock, coloursOf, everyFrame, fitCanvas, h, onThemeChange } from "./dom.js";
import { LaneData } from "./lane-data.js";
import { drawLane } from "./lane-draw.js";
import { layOutTurns, layOutWords } from "./lane-words.js";
import { t } from "./strings.js";

const LIVE_PX_PER_S = 112;
const NOW_AT = 0.9;
const WORDS_FROM_PX_PER_S = 84;
const COLOURS = {
  text: "--ink",
  faint: "--ink-faint",
  line: "--rule",
  user: "--user",
  agent: "--agent",
  userText: "--user-text",
  agentText: "--agent-text",
  overlap: "--overlap",
};

const SEEK_STEPS_S = {
  ArrowLeft: -5,
  ArrowDown: -5,
  ArrowRight: 5,
  ArrowUp: 5,
  PageDown: -30,
  PageUp: 30,
  Home: -Infinity,
  End: Infinity,
};
const ATTRIBUTES = [
  "role",
  "tabindex",
  "title",
  "aria-label",
  "aria-valuemin",
  "aria-valuemax",
  "aria-valuenow",
  "aria-valuetext",
];

export class DuplexLane {
  /**
   * @param {HTMLElement} element
   * @param {object} options
   * @param {boolean} [options.live] it will move
   * @param {boolean} [options.small] without words and names of events
   * @param {(at_s: number) => void} [options.onSeek] makes it a slider
   */
  constructor(element, options = {}) {
    this.element = element;
    this.options = options;
    this.data = new LaneData();
    this.now = () => 0;
    this.playhead_s = null;
    this.hover_s = null;
    this.muted = false;
    this.running = false;
    this.ended = new AbortController();
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.context = this.canvas.getContext("2d");
    element.replaceChildren(this.canvas);
    if (options.onSeek) this.listenForSeek();
    else element.setAttribute("role", "img");
    this.describe();
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.unwatchTheme = onThemeChange(() => {
      this.ink = null;
      this.draw();
    });
    this.resizer = new ResizeObserver(() => {
      this.laid = null;
      this.draw();
    });
    this.resizer.observe(element);
  }

  /** Show another talk, or with nothing an empty axis. */
  set(talk) {
    this.data = talk instanceof LaneData ? talk : new LaneData(talk);
    this.laid = null;
    this.playhead_s = null;
    this.describe();
    this.draw();
  }

  /** Begin to move; `now` gives the talk's time in seconds. */
  start(now) {
    this.now = now;
    this.running = true;
    this.rest = everyFrame(() => this.draw());
  }

  stop() {
    this.running = false;
    this.rest?.();
    this.describe();
  }

  describe() {
    const summary = this.data.summary();
    const keys = this.options.onSeek ? ` ${t("lane_keys")}` : "";
    this.element.setAttribute("aria-label", `${summary}${keys}`);
    if (this.options.onSeek) {
      this.element.setAttribute("aria-valuemax", String(Math.round(this.data.duration_s)));
    }
  }

  /** Set where the player is; null hides the playhead. */
  playAt(seconds) {
    this.playhead_s = seconds;
    if (this.options.onSeek) {
      this.element.setAttribute("aria-valuenow", String(Math.round(seconds ?? 0)));
      const times = { at: clock(seconds ?? 0), length: clock(this.data.duration_s) };
      this.element.setAttribute("aria-valuetext", t("of_time", times));
    }
    this.draw();
  }

  listenForSeek() {
    const element = this.element;
    element.setAttribute("role", "slider");
    element.setAttribute("aria-valuemin", "0");
    element.setAttribute("aria-valuenow", "0");
    element.tabIndex = 0;
    const listen = (name, handler) => element.addEventListener(name, handler, { signal: this.ended.signal });
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * this.data.duration_s || 0;
    };
    listen("pointermove", (event) => {
      this.hover_s = at(event);
      element.title = clock(this.hover_s);
      if (event.buttons & 1) this.options.onSeek(this.hover_s);
      this.draw();
    });
    listen("pointerleave", () => {
      this.hover_s = null;
      this.draw();
    });
    listen("pointerdown", (event) => event.button === 0 && this.options.onSeek(at(event)));
    listen("keydown", (event) => {
      const step = SEEK_STEPS_S[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.options.onSeek(Math.max(0, Math.min(this.data.duration_s, (this.playhead_s ?? 0) + step)));
    });
  }

  /** What is shown, and how: the `view` of `drawLane`, still without its words. */
  view(width, height) {
    const shared = {
      width,
      height,
      hover_s: this.hover_s,
      playhead_s: this.playhead_s,
      muted: this.muted,
      small: Boolean(this.options.small),
    };
    if (!this.running) {
      const duration_s = Math.max(this.data.duration_s, this.options.live ? 1 : 0.1);
      return { ...shared, from_s: 0, pxPerS: width / duration_s, now_s: null };
    }
    const now_s = this.now();
    const pxPerS = LIVE_PX_PER_S;
    const shown_s = width / pxPerS;
    let from_s = now_s - shown_s * NOW_AT;
    // with reduced motion the picture turns pages instead of gliding
    if (this.still.matches) from_s = Math.floor(now_s / (shown_s * 0.8)) * shown_s * 0.8;
    return { ...shared, from_s, pxPerS, now_s };
  }

  /** The words where they go, laid out anew only when there are others. */
  words(view) {
    const key = `${this.data.version} ${view.pxPerS}`;
    if (this.laid?.key !== key) {
      const all = [...this.data.utterances.values()];
      const end = view.now_s === null ? view.width : Infinity;
      const words =
        view.pxPerS < WORDS_FROM_PX_PER_S ? null : layOutWords(this.context, all, view.pxPerS, end);
      this.laid = { key, words: words ?? layOutTurns(this.context, all, view.pxPerS, end) };
    }
    return this.laid.words;
  }

  draw() {
    const width = this.element.clientWidth;
    const height = this.element.clientHeight;
    if (!width || !height) return;
    fitCanvas(this.canvas, this.context, width, height);
    this.ink ??= coloursOf(this.element, COLOURS);
    const view = this.view(width, height);
    view.words = view.small ? [] : this.words(view);
    drawLane(this.context, this.data, view, this.ink);
  }

  destroy() {
    this.running = false;
    this.rest?.();
    this.resizer.disconnect();
    this.unwatchTheme();
    this.ended.abort();
    for (const name of ATTRIBUTES) this.element.removeAttribute(name);
    this.element.replaceChildren();
  }
}
