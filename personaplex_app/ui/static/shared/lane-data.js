// What a lane shows: two envelopes on one clock, what was said, and what happened. Bounded; knows no canvas.

import { PEAKS_PER_S } from "../audio/format.js";
import { count, t } from "./strings.js";

const MOST_S = 3600;
const MOST_UTTERANCES = 2000;
const MOST_MARKS = 4000;

/** How loud a side was, PEAKS_PER_S points a second from 0 to 1, growing as it comes. */
class Envelope {
  constructor(values) {
    this.values = values ? Float32Array.from(values) : new Float32Array(PEAKS_PER_S * 60);
    this.length = values ? values.length : 0;
  }

  put(first, peaks) {
    if (first >= MOST_S * PEAKS_PER_S) return;
    const end = Math.min(first + peaks.length, MOST_S * PEAKS_PER_S);
    if (end > this.values.length) {
      const grown = new Float32Array(Math.min(MOST_S * PEAKS_PER_S, Math.max(end, this.values.length * 2)));
      grown.set(this.values);
      this.values = grown;
    }
    for (let i = first; i < end; i++) this.values[i] = Math.max(this.values[i], peaks[i - first]);
    this.length = Math.max(this.length, end);
  }

  /** The largest value from one moment to another. */
  most(fromS, toS) {
    const first = Math.max(0, Math.floor(fromS * PEAKS_PER_S));
    const end = Math.min(this.length, Math.max(first + 1, Math.ceil(toS * PEAKS_PER_S)));
    let peak = 0;
    for (let i = first; i < end; i++) if (this.values[i] > peak) peak = this.values[i];
    return peak;
  }
}

/**
 * @typedef {object} Utterance
 * @property {string|number} id
 * @property {"user"|"agent"} speaker
 * @property {string} text
 * @property {number} start_s on the talk's clock, as all times here
 * @property {number} end_s
 * @property {boolean} [final] false while the text may still change
 * @property {[string, number, number][]} [words] each with its start and end in seconds
 *
 * @typedef {object} Mark
 * @property {"interruption"|"backchannel"|"overlap"} kind
 * @property {"user"|"agent"} speaker
 * @property {number} start_s
 * @property {number} end_s
 */

export class LaneData {
  /** @param {object} talk a stored talk's lane: user and agent (envelopes), utterances, marks, duration_s */
  constructor(talk = {}) {
    this.user = new Envelope(talk.user);
    this.agent = new Envelope(talk.agent);
    this.utterances = new Map((talk.utterances ?? []).map((each, i) => [each.id ?? i, each]));
    this.marks = (talk.marks ?? []).slice(-MOST_MARKS);
    this.given_s = talk.duration_s ?? 0;
    this.version = 0;
  }

  get duration_s() {
    return Math.max(this.given_s, Math.max(this.user.length, this.agent.length) / PEAKS_PER_S);
  }

  /** Add to the envelope of `side`, "user" or "agent", from point `first` on. */
  put(side, first, peaks) {
    this[side].put(first, peaks);
  }

  /** Add an utterance, or what one has grown to. */
  say(utterance) {
    if (!this.utterances.has(utterance.id) && this.utterances.size >= MOST_UTTERANCES) {
      this.utterances.delete(this.utterances.keys().next().value);
    }
    this.utterances.set(utterance.id, utterance);
    this.version += 1;
  }

  mark(mark) {
    if (this.marks.length >= MOST_MARKS) this.marks.shift();
    this.marks.push(mark);
  }

  count(kind) {
    return this.marks.filter((each) => each.kind === kind).length;
  }

  /** The lane in a sentence, for those who do not see it. */
  summary() {
    const seconds = Math.round(this.duration_s);
    if (!seconds) return t("lane_empty");
    const turns = (who) =>
      [...this.utterances.values()].filter((each) => each.speaker === who && each.text).length;
    const minutes = seconds < 60 ? "" : `${count("count_minute", Math.floor(seconds / 60))} `;
    const length = `${minutes}${count("count_second", seconds % 60)}`;
    const [user, agent] = ["user", "agent"].map((who) => count("count_time", turns(who)));
    const events = ["interruption", "backchannel", "overlap"]
      .filter((kind) => this.count(kind))
      .map((kind) => count(`count_${kind}`, this.count(kind)));
    const happened = events.length ? `; ${events.join(", ")}` : "";
    return t("lane_talk", { length, user, agent, events: happened });
  }
}
