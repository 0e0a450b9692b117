// What moves during a talk: captions, level meters, instruments. Numbers shown are measured in this talk.

import { clock, everyFrame, h, isKnown, ms, part, say, show } from "../shared/dom.js";
import { count, t } from "../shared/strings.js";

const MOST_CAPTIONS = 400;
const METER_HALF_LIFE_MS = 95;

/** What both sides said, a row for each utterance. */
export class Captions {
  constructor(root) {
    this.list = root.querySelector("#talk-captions");
    this.empty = part(root, "captions-empty");
    this.root = root;
    this.clear("");
  }

  /** Forget all rows; `emptyText` stands in their place. */
  clear(emptyText) {
    this.shown = new Map();
    this.list.replaceChildren();
    say(this.empty, emptyText);
    show(this.empty, true);
    this.names = { user: t("you"), agent: t("agent") };
  }

  /** Show an utterance, or what it has grown to. */
  put(utterance) {
    if (!utterance.text?.trim()) return;
    show(this.empty, false);
    const key = `${utterance.speaker} ${utterance.id}`;
    let row = this.shown.get(key);
    if (!row) {
      row = h(
        "p",
        { class: "caption", dataset: { speaker: utterance.speaker } },
        h("span", { class: "caption-who" }),
        h("span", { class: "caption-text" }),
      );
      this.shown.set(key, row);
      this.place(row, utterance.start_s);
      if (this.shown.size > MOST_CAPTIONS) this.forgetOldest();
    }
    row.classList.toggle("is-provisional", !utterance.final);
    const told = utterance.line ? "told" : ""; // what somebody had the agent say is none of its own
    const mark = utterance.typed ? "typed" : told;
    const who = mark ? t(mark) : this.names[utterance.speaker];
    say(row.firstChild, `${who} ${clock(utterance.start_s)}`);
    say(row.lastChild, utterance.text);
    this.follow();
  }

  /** In the order in which they began, though they may arrive otherwise. */
  place(row, start_s) {
    row.dataset.start = start_s;
    let before = null;
    let each = this.list.lastElementChild;
    while (each && Number(each.dataset.start) > start_s) {
      before = each;
      each = each.previousElementSibling;
    }
    this.list.insertBefore(row, before);
  }

  forgetOldest() {
    const [key, row] = this.shown.entries().next().value;
    this.shown.delete(key);
    row.remove();
  }

  follow() {
    const list = this.list;
    // who scrolled up to read is left there
    if (list.scrollHeight - list.scrollTop - list.clientHeight < 120) list.scrollTop = list.scrollHeight;
  }
}

/** A bar for each side that jumps to what is heard and falls slowly. */
export class Meters {
  constructor(root) {
    this.bars = {
      user: root.querySelector('.meter[data-side="user"] b'),
      agent: root.querySelector('.meter[data-side="agent"] b'),
    };
    this.level = { user: 0, agent: 0 };
  }

  /** Take an envelope of "user" or "agent", 0 to 1. */
  hear(side, peaks) {
    this.level[side] = Math.max(this.level[side], ...peaks);
  }

  start() {
    this.rest = everyFrame((elapsed_ms) => this.draw(elapsed_ms));
  }

  draw(elapsed_ms = 0) {
    for (const side of ["user", "agent"]) {
      const shown = Math.min(1, this.level[side] ** 0.6 * 1.15);
      this.bars[side].style.transform = `scaleY(${shown.toFixed(3)})`;
      this.bars[side].parentElement.dataset.level = shown.toFixed(2);
      this.level[side] *= 0.5 ** (elapsed_ms / METER_HALF_LIFE_MS);
    }
  }

  stop() {
    this.rest?.();
    this.level = { user: 0, agent: 0 };
    this.draw();
  }
}

/** The instruments under the lane; each has its explanation as a title. */
export class Readouts {
  constructor(root) {
    this.fields = Object.fromEntries(
      [...root.querySelectorAll("[data-readout]")].map((each) => [each.dataset.readout, each]),
    );
    // a phone has no room for them beside the captions
    part(root, "figures").open = matchMedia("(min-width: 700px)").matches;
    this.clear();
  }

  clear() {
    for (const field of Object.values(this.fields)) say(field, "–");
    this.stop();
  }

  /** Stop counting down; what was measured stays to be read. */
  stop() {
    clearInterval(this.timer);
  }

  set(name, text, title) {
    say(this.fields[name], text);
    if (title !== undefined) this.fields[name].title = title;
  }

  /** Count down from `limit_s` seconds. */
  countDown(limit_s) {
    const end = performance.now() + limit_s * 1000;
    const tick = () => {
      const left_s = (end - performance.now()) / 1000;
      this.set("left", clock(left_s));
      this.fields.left.classList.toggle("is-low", left_s < 30);
    };
    tick();
    this.stop();
    this.timer = setInterval(tick, 500);
  }

  /** What the wire's `stats` tells. */
  stats({ step_ms, late_frames, silent_frames, turn_latency_ms, turns, bridge }) {
    show(this.fields.bridge.parentElement, Boolean(bridge));
    if (bridge) this.bridge(bridge);
    if (isKnown(step_ms?.p50)) {
      this.set(
        "step",
        `${format(step_ms.p50)} / ${format(step_ms.p95)} ms`,
        t("step_told", { late: late_frames, silent: silent_frames }),
      );
    }
    if (isKnown(turn_latency_ms)) {
      this.set("turn", ms(turn_latency_ms), t("turn_told", { turns: count("turns", turns) }));
    }
  }

  /** The way to a remote server and back. */
  bridge({ round_trip_ms, buffer_ms, late_frames, trimmed_ms, skipped_frames }) {
    const trip = round_trip_ms === null ? "–" : format(round_trip_ms);
    this.set(
      "bridge",
      `${trip} + ${format(buffer_ms)} ms`,
      t("bridge_told", { late: late_frames, trimmed: trimmed_ms, skipped: skipped_frames }),
    );
  }

  /** What `JitterRing.report()` tells. */
  playback({ buffer_ms, target_ms, underruns, trimmed_ms }) {
    this.set(
      "buffer",
      `${buffer_ms} ms`,
      t("buffer_told", { target: target_ms, gaps: underruns, trimmed: trimmed_ms }),
    );
  }
}

/** Milliseconds as they are read at a glance. */
function format(value) {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
