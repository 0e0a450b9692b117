// One talk while it runs: microphone, connection, and what the page shows of both. It is over when `on.closed`,
// `on.failed` or `close` was called.

import { PEAKS_PER_S, FRAME_S } from "../audio/format.js";
import { AudioRig } from "../audio/audio-rig.js";
import { base } from "../shared/api.js";
import { ms } from "../shared/dom.js";
import { t, told } from "../shared/strings.js";
import { limit, preparing, queued, soundTrouble } from "../shared/texts.js";
import { Connection } from "./connection.js";

// louder than this, a microphone hears somebody
const SPEECH_PEAK = 0.05;
// text after a longer pause is a new utterance
const UTTERANCE_GAP_S = 1.2;
// some frames are dropped on every network; more are worth a word
const FEW_DROPPED = 5;

export class LiveTalk {
  /**
   * @param {object} view where it is shown: lane, captions, meters, readouts, sampling, typed
   * @param {object} on
   * @param {(state: string, text: string, progress?: number|null) => void} on.enter it came to another state
   * @param {(text: string) => void} on.notify something to know; an empty text takes that back
   * @param {(token: string) => void} on.lease a GPU must be asked for with this token
   * @param {(ready: object) => void} on.ready the talk has begun; the wire's `ready` event
   * @param {(text: string) => void} on.failed it could not begin
   * @param {(end: object) => void} on.closed the connection has ended, as `Connection` tells it
   */
  constructor(view, on) {
    this.view = view;
    this.on = on;
    /** The wire's `ready` event, once the talk has begun. */
    this.ready = null;
    /** The wire's `ended` event, once the server has said goodbye. */
    this.ended = null;
    /** The server's own sentence on what failed. */
    this.failure = null;
    this.peaks = 0; // points of the user's envelope so far, which is the talk's clock
    this.spoken = null;
    this.troubles = new Set();
    this.over = false;
    this.muted = false;
  }

  /** Open the microphone and ask for a talk; `request` has the fields of a `start` message. */
  async start(request) {
    const { lane, meters } = this.view;
    this.rig = new AudioRig({
      heard: (peaks) => this.heard(peaks),
      played: (first, peaks) => {
        lane.data.put("agent", first, peaks);
        meters.hear("agent", peaks);
      },
      report: (report) => this.report(report),
      trouble: (kind, on) => this.trouble(kind, on),
    });
    try {
      await this.rig.open();
      if (this.over) return;
      this.rig.mute(this.muted);
      this.on.enter("connecting", t("connecting"));
      this.connection = new Connection(base, request, this.rig.ports(), this.handlers());
    } catch (error) {
      if (!this.over) this.on.failed(soundTrouble(error));
    }
  }

  handlers() {
    const { readouts } = this.view;
    return {
      transport: (name) => readouts.set("transport", name, name === "socket" ? "" : t("fallback")),
      text: (piece) => this.addText(piece),
      event: (event) => this.take(event),
      failure: (text) => (this.failure = told(text)),
      away: (kind) => this.trouble(kind, true),
      back: () => {
        this.trouble("away", false);
        this.trouble("quiet", false);
        this.on.notify(t("back"));
      },
      unreachable: (why) => this.on.failed(told(why) || t("unreachable")),
      closed: (end) => this.on.closed(end),
    };
  }

  // what the server tells

  take(event) {
    const { lane, captions, readouts, sampling } = this.view;
    switch (event.type) {
      case "preparing":
        this.on.enter("preparing", `${preparing(event, event.engine_title)} ${t("begins")}`, event.progress);
        break;
      case "queued":
        this.on.enter("queued", queued(event));
        break;
      case "lease":
        this.on.lease(event.token);
        this.on.enter("queued", t("lease"));
        break;
      case "ready":
        this.begin(event);
        break;
      case "utterance":
        lane.data.say(event);
        captions.put(event);
        break;
      case "mark":
        lane.data.mark(event);
        break;
      case "turn_latency":
        readouts.set("turn", ms(event.latency_ms));
        break;
      case "stats":
        if (event.trip_ms) readouts.set("trip", ms(event.trip_ms));
        if (event.dropped_frames > FEW_DROPPED) this.on.notify(t("slow"));
        readouts.stats(event);
        break;
      case "limit":
        this.idleWarned = event.reason === "idle";
        if (event.reason === "draining") readouts.countDown(event.left_s);
        this.on.notify(limit(event));
        break;
      case "sampling":
        sampling.inForce(event);
        break;
      case "notice":
        if (event.code === "sampling_refused") sampling.refused();
        if (event.code === "typed_refused") this.view.typed.refused();
        this.on.notify(told(event.text));
        break;
      case "ended":
        this.ended = { ...event, text: told(event.text) };
        break;
    }
  }

  begin(ready) {
    this.ready = ready;
    const { lane, captions, meters, readouts, sampling } = this.view;
    const seesWords = ready.capabilities?.user_captions || ready.capabilities?.agent_captions;
    const wordless = t("no_captions", { engine: told(ready.engine_title) });
    captions.clear(seesWords ? t("words_here") : wordless);
    this.on.ready(ready);
    sampling.begin(ready.sampling);
    readouts.countDown(ready.limit_s);
    meters.start();
    // the envelope of a frame comes when the frame is full: the picture runs that far behind, so that its edge is
    // never empty
    const began_ms = performance.now();
    lane.start(() => Math.max(0, (performance.now() - began_ms) / 1000 - FRAME_S));
  }

  /** The agent's text where the engine gives no utterances. */
  addText(piece) {
    if (!this.ready || this.ready.capabilities?.agent_captions) return;
    const { lane, captions } = this.view;
    const at_s = this.peaks / PEAKS_PER_S;
    if (!this.spoken || at_s - this.spoken.end_s > UTTERANCE_GAP_S) {
      this.spoken = {
        id: `text-${at_s}`,
        speaker: "agent",
        text: "",
        start_s: at_s,
        final: true,
        words: [],
      };
    }
    this.spoken.text += piece;
    this.spoken.words.push([piece, at_s, at_s]);
    this.spoken.end_s = at_s;
    lane.data.say(this.spoken);
    captions.put(this.spoken);
  }

  // what microphone, loudspeaker and connection tell

  /** Something is wrong for as long as it lasts; `kind` is the name of its sentence. */
  trouble(kind, on) {
    if (this.over || this.troubles.has(kind) === on) return;
    if (on) this.troubles.add(kind);
    else this.troubles.delete(kind);
    this.on.notify([...this.troubles].map((each) => t(each)).join(" "));
  }

  heard(peaks) {
    const { lane, meters } = this.view;
    lane.data.put("user", this.peaks, peaks);
    this.peaks += peaks.length;
    meters.hear("user", peaks);
    if (this.idleWarned && Math.max(...peaks) > SPEECH_PEAK) {
      this.idleWarned = false;
      this.on.notify("");
    }
  }

  report(report) {
    if (!this.ready || this.over) return;
    this.view.readouts.playback(report);
    const { buffer_ms, underruns, trimmed_ms } = report;
    this.connection.order("playback", { buffer_ms, underruns, trimmed_ms });
  }

  // what the user does

  mute(on) {
    this.muted = on;
    this.rig?.mute(on);
  }

  /** Go on with the microphone or loudspeaker that is chosen now. */
  useDevice(kind) {
    if (this.ready) this.rig.use(kind);
  }

  interrupt() {
    this.connection?.order("interrupt");
  }

  type(text) {
    this.connection?.order("typed", { text });
  }

  sample(fields) {
    this.connection?.order("sampling", fields);
  }

  /** Ask the server to end the talk; it says goodbye and closes. */
  stop() {
    this.connection.order("stop");
    this.letGo();
  }

  /** Let go of the microphone and rest what moved. The connection stays for what the server still says. */
  letGo() {
    this.over = true;
    const { lane, meters, readouts, sampling } = this.view;
    this.rig?.close();
    lane.stop();
    meters.stop();
    readouts.stop();
    sampling.end();
  }

  /** Leave without waiting for anybody. */
  close() {
    this.letGo();
    this.connection?.close();
  }
}
