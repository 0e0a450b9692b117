// A recorded sound with its still lane: a button, the time, and a playhead. Of all players of a page one plays at a
// time.

import { button, clock, h, say } from "./dom.js";
import { t } from "./strings.js";

const SHOW_EVERY_MS = 50;

export class Player {
  static playing = null;

  /**
   * @param {DuplexLane} lane
   * @param {() => Promise<Blob>} load gives the sound, asked for when somebody first listens: what the owner's key
   *   opens, an <audio> cannot fetch
   * @param {object} options
   * @param {string} options.name for screen readers
   * @param {(text: string) => void} options.tell shows what went wrong
   * @param {() => void} [options.onplay]
   * @param {(at_s: number, ended: boolean) => void} [options.ontime] while it plays and when it stops
   */
  constructor(lane, load, options) {
    this.lane = lane;
    this.load = load;
    this.options = options;
    this.duration_s = 0;
    const label = t("play_what", { does: t("play"), what: options.name });
    const attributes = { "aria-label": label, onclick: () => this.toggle() };
    this.button = button(t("play"), attributes, "play");
    this.time = h("span", { class: "player-time" }, "0:00");
  }

  /** How long the sound is, in seconds. */
  set(duration_s) {
    this.duration_s = duration_s;
    say(this.time, `0:00 / ${clock(duration_s)}`);
  }

  get at() {
    return this.audio?.currentTime ?? 0;
  }

  get sounding() {
    return Boolean(this.audio && !this.audio.paused);
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
    this.options.tell("");
    try {
      await work();
    } catch (error) {
      if (!this.gone) this.options.tell(error.message);
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
    if (Player.playing !== this) Player.playing?.pause();
    Player.playing = this;
    this.name(t("pause"));
    this.options.onplay?.();
    // a timer and not the screen's frames: these stand still in a tab that nobody looks at, and sound does not
    clearInterval(this.timer);
    this.timer = setInterval(() => this.show(), SHOW_EVERY_MS);
  }

  onpause() {
    clearInterval(this.timer);
    this.name(t("play"));
    this.show();
  }

  name(does) {
    say(this.button, does);
    this.button.setAttribute("aria-label", t("play_what", { does, what: this.options.name }));
  }

  show() {
    if (!this.audio) return;
    this.lane.playAt(this.at);
    say(this.time, `${clock(this.at)} / ${clock(this.duration_s)}`);
    this.options.ontime?.(this.at, this.audio.ended);
  }

  /** Let go of the sound; the next to listen loads it again. */
  silence() {
    this.pause();
    clearInterval(this.timer);
    if (Player.playing === this) Player.playing = null;
    if (this.url) URL.revokeObjectURL(this.url);
    this.audio = this.url = null;
    this.name(t("play"));
  }

  destroy() {
    this.gone = true;
    this.silence();
    this.lane.destroy();
  }
}
