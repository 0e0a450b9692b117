// A clip with its lane and player; what was heard of it is counted.

import { h, say } from "./dom.js";
import { DuplexLane } from "./lane.js";
import { Player } from "./player.js";

// moments are counted in steps of this length
const HEARD_STEP_S = 0.1;
// a longer way between two looks at the time was a jump
const LONGEST_STEP_S = 1.5;

const stepAt = (seconds) => Math.floor(seconds / HEARD_STEP_S);

export class ClipPlayer {
  /**
   * @param {() => Promise<Blob>} load gives the sound
   * @param {object} options
   * @param {string} options.name for screen readers
   * @param {boolean} [options.tall]
   * @param {() => void} [options.onheard] called while more of it is heard
   */
  constructor(load, options) {
    this.options = options;
    this.plays = 0;
    this.heardSteps = new Set();
    this.before_s = 0;
    const laneElement = h("div", { class: `lane ${options.tall ? "lane-clip" : "lane-small"}` });
    const notice = h("p", { class: "hint clip-notice", role: "status" });
    const lane = new DuplexLane(laneElement, { small: true, onSeek: (at_s) => this.player.seek(at_s) });
    this.player = new Player(lane, load, {
      name: options.name,
      tell: (text) => say(notice, text),
      onplay: () => this.onplay(),
      ontime: (at_s, ended) => this.ontime(at_s, ended),
    });
    const row = h("div", { class: "player" }, this.player.button, this.player.time);
    this.element = h("div", { class: "clip" }, laneElement, row, notice);
  }

  /** Show what the clip looks like: a stored talk's lane. */
  set(lane) {
    this.player.lane.set(lane);
    this.player.set(lane.duration_s);
  }

  /** How much of it was heard, each moment counted once. */
  get heard_s() {
    return Math.min(this.player.duration_s, this.heardSteps.size * HEARD_STEP_S);
  }

  onplay() {
    this.plays += 1;
    this.before_s = this.player.at;
  }

  ontime(at_s, ended) {
    if (at_s > this.before_s && at_s - this.before_s < LONGEST_STEP_S) {
      this.count(stepAt(this.before_s), stepAt(at_s));
    }
    // a player that has ended stops a little before the end
    if (ended) this.count(stepAt(this.player.duration_s) - 2, this.player.duration_s / HEARD_STEP_S);
    this.before_s = at_s;
    this.options.onheard?.();
  }

  count(first, end) {
    for (let step = Math.max(0, first); step < end; step++) this.heardSteps.add(step);
  }

  destroy() {
    this.player.destroy();
    this.element.remove();
  }
}
