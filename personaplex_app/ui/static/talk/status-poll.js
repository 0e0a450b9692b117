// Asks the server again and again how its engine is: often while that changes, seldom otherwise.

import { status } from "../shared/api.js";

const BUSY_MS = 1000;
const CALM_MS = 15000;
const LOST_MS = 3000;
const SETTLED = ["ready", "failed"];

export class StatusPoll {
  /**
   * @param {object} on
   * @param {() => boolean} on.wanted whether to ask now
   * @param {(status: object) => void} on.status as /voice/status gives it
   * @param {(text: string) => void} on.lost the server did not answer
   */
  constructor(on) {
    this.on = on;
  }

  /** Ask now, and go on from there. */
  async ask() {
    clearTimeout(this.timer);
    const next_ms = document.hidden || !this.on.wanted() ? CALM_MS : await this.once();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), next_ms);
  }

  async once() {
    try {
      const now = await status();
      this.on.status(now);
      return SETTLED.includes(now.engine.stage) ? CALM_MS : BUSY_MS;
    } catch (error) {
      this.on.lost(error.message);
      return LOST_MS;
    }
  }
}
