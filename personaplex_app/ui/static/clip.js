// A clip with its lane and player; what was heard of it is counted.

import { h, say } from "./dom.js";
import { DuplexLane } from "./lane.js";
import { Player } from "./player.js";

const HEARD_STEP_S = 0.1;
const LONGEST_STEP_S = 1.5;

export class Clip {
  /** `load()` gives the sound as a Blob; `options`: name (for screen readers), tall, onheard(). */
  constructor(load, options) {
    this.options = options;
    this.plays = 0;
    this.heard = new Set();
    this.before_s = 0;
    this.laneElement = h("div", { class: `lane ${options.tall ? "lane-clip" : "lane-small"}` });
    this.notice = h("p", { class: "hint clip-notice", role: "status" });
    const lane = new DuplexLane(this.laneElement, { small: true, onSeek: (at) => this.sound.seek(at) });
    this.sound = new Player(lane, load, {
      name: options.name,
      tell: (text) => say(this.notice, text),
      onplay: () => this.onplay(),
      ontime: (at, ended) => this.ontime(at, ended),
    });
    this.player = h("div", { class: "player" }, this.sound.button, this.sound.time);
    this.element = h("div", { class: "clip" }, this.laneElement, this.player, this.notice);
  }

  set(lane) {
    this.sound.lane.set(lane);
    this.sound.set(lane.duration_s);
  }

  /** How much of it was heard, each moment counted once. */
  get heard_s() {
    return Math.min(this.sound.duration_s, this.heard.size * HEARD_STEP_S);
  }

  toggle() {
    return this.sound.toggle();
  }

  pause() {
    this.sound.pause();
  }

  onplay() {
    this.plays += 1;
    this.before_s = this.sound.at;
  }

  ontime(at, ended) {
    const step = (s) => Math.floor(s / HEARD_STEP_S);
    if (at > this.before_s && at - this.before_s < LONGEST_STEP_S) for (let k = step(this.before_s); k < step(at); k++) this.heard.add(k);
    if (ended) for (let k = step(this.sound.duration_s) - 2; k * HEARD_STEP_S < this.sound.duration_s; k++) this.heard.add(Math.max(0, k));
    this.before_s = at;
    this.options.onheard?.();
  }

  destroy() {
    this.sound.destroy();
    this.element.remove();
  }
}
