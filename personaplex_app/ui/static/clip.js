// A clip with its lane and player. Of all clips of a page one plays at a time; what was heard of each is counted.

import { clock, h, say } from "./dom.js";
import { DuplexLane } from "./lane.js";

const HEARD_STEP_S = 0.1;

export class Clip {
  static playing = null;

  /** `load()` gives the sound as a Blob; `options`: name (for screen readers), tall, onheard(). */
  constructor(load, options) {
    this.load = load;
    this.options = options;
    this.duration_s = 0;
    this.plays = 0;
    this.heard = new Set();
    this.laneElement = h("div", { class: `lane ${options.tall ? "lane-clip" : "lane-small"}` });
    this.lane = new DuplexLane(this.laneElement, { small: true, onSeek: (at) => this.seek(at) });
    this.button = h("button", { type: "button", class: "button button-play", "aria-label": `Play ${options.name}`, onclick: () => this.toggle() }, "Play");
    this.time = h("span", { class: "player-time" }, "0:00");
    this.notice = h("p", { class: "hint clip-notice", role: "status" });
    this.player = h("div", { class: "player" }, this.button, this.time);
    this.element = h("div", { class: "clip" }, this.laneElement, this.player, this.notice);
  }

  set(lane) {
    this.duration_s = lane.duration_s;
    this.lane.set(lane);
    say(this.time, `0:00 / ${clock(this.duration_s)}`);
  }

  /** How much of it was heard, each moment counted once. */
  get heard_s() {
    return Math.min(this.duration_s, this.heard.size * HEARD_STEP_S);
  }

  async sound() {
    if (this.audio) return this.audio;
    this.loading ??= this.load();
    const audio = new Audio();
    try {
      this.url = URL.createObjectURL(await this.loading);
    } finally {
      this.loading = null;
    }
    if (this.gone) throw new Error("gone");
    audio.src = this.url;
    audio.addEventListener("play", () => this.onplay());
    for (const event of ["pause", "ended"]) audio.addEventListener(event, () => this.onpause());
    this.audio = audio;
    return audio;
  }

  async trying(work) {
    say(this.notice, "");
    try {
      await work();
    } catch (error) {
      if (!this.gone) say(this.notice, error.message);
    }
  }

  toggle() {
    return this.trying(async () => {
      const audio = await this.sound();
      if (audio.paused) await audio.play();
      else audio.pause();
    });
  }

  seek(at) {
    this.lane.playAt(at);
    return this.trying(async () => {
      const audio = await this.sound();
      audio.currentTime = Math.min(at, Math.max(0, this.duration_s - 0.05));
      this.show();
    });
  }

  pause() {
    this.audio?.pause();
  }

  onplay() {
    if (Clip.playing !== this) Clip.playing?.pause();
    Clip.playing = this;
    this.plays += 1;
    say(this.button, "Pause");
    this.button.setAttribute("aria-label", `Pause ${this.options.name}`);
    let before_s = this.audio.currentTime;
    // a timer and not the screen's frames: these stand still in a tab that nobody looks at, and sound does not
    this.timer = setInterval(() => {
      const now_s = this.audio.currentTime;
      if (now_s > before_s && now_s - before_s < 1.5) for (let k = Math.floor(before_s / HEARD_STEP_S); k < Math.floor(now_s / HEARD_STEP_S); k++) this.heard.add(k);
      before_s = now_s;
      this.show();
      this.options.onheard?.();
    }, 100);
  }

  onpause() {
    clearInterval(this.timer);
    say(this.button, "Play");
    this.button.setAttribute("aria-label", `Play ${this.options.name}`);
    if (this.audio?.ended) for (let k = Math.floor(this.duration_s / HEARD_STEP_S) - 2; k * HEARD_STEP_S < this.duration_s; k++) this.heard.add(Math.max(0, k));
    this.show();
    this.options.onheard?.();
  }

  show() {
    if (!this.audio) return;
    this.lane.playAt(this.audio.currentTime);
    say(this.time, `${clock(this.audio.currentTime)} / ${clock(this.duration_s)}`);
  }

  destroy() {
    this.gone = true;
    clearInterval(this.timer);
    this.pause();
    if (Clip.playing === this) Clip.playing = null;
    if (this.url) URL.revokeObjectURL(this.url);
    this.lane.destroy();
    this.element.remove();
  }
}
