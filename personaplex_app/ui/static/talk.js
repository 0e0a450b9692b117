// The Talk tab: from the press on Start to the recording. Says in one place, `data-state` of #talk-status, where it is.

import * as api from "./api.js";
import { AudioRig, AudioTrouble } from "./audio.js";
import { Connection } from "./connection.js";
import { clock, h, linked, ms, part, say, show } from "./dom.js";
import { PEAKS_PER_S } from "./lane-data.js";
import { DuplexLane } from "./lane.js";
import { Captions, Meters, Readouts } from "./live.js";
import { forget, remember, remembered } from "./memory.js";
import { TEXT, audioTrouble, limit, preparing, queued } from "./messages.js";
import { FRAME_S } from "./protocol.js";
import { Recording } from "./recording.js";
import { Sampling } from "./sampling.js";
import { Setup } from "./setup.js";

const POLL_BUSY_MS = 1000;
const POLL_CALM_MS = 15000;
const END_PATIENCE_MS = 6000;
const RECORDING_PATIENCE_MS = 30000;
const PHASES = { idle: "idle", preparing: "busy", queued: "busy", connecting: "busy", live: "live", ended: "after", error: "idle" };

export function mount(element, props, watch, trigger) {
  new TalkPage(element.querySelector(".talk"), trigger);
}

class TalkPage {
  constructor(root, trigger) {
    this.root = root;
    this.trigger = trigger;
    this.state = "idle";
    this.status = null;
    this.buttons = Object.fromEntries(["start", "beside", "stop", "mute", "hush"].map((name) => [name, root.querySelector(`#talk-${name}`)]));
    this.statusElement = root.querySelector("#talk-status");
    this.laneElement = root.querySelector("#talk-lane");
    this.captions = new Captions(root);
    this.meters = new Meters(root);
    this.readouts = new Readouts(root);
    this.setup = new Setup(root);
    this.sampling = new Sampling(root, (fields) => this.client?.order("sampling", fields));
    this.lane = new DuplexLane(this.laneElement, { live: true });
    this.buttons.start.addEventListener("click", () => this.start());
    this.buttons.beside.addEventListener("click", () => this.start(this.status.lease.beside.name));
    this.buttons.stop.addEventListener("click", () => this.stop());
    this.buttons.mute.addEventListener("click", () => this.mute(!this.muted));
    this.buttons.hush.addEventListener("click", () => this.client?.order("interrupt"));
    document.addEventListener("keydown", (event) => this.key(event));
    // a page that goes frees its place at once
    window.addEventListener("pagehide", () => this.client?.close());
    this.enter("idle", "Looking for the engine…");
    this.recover();
    this.poll();
  }

  // where we are

  enter(state, text, { progress = null } = {}) {
    this.state = state;
    const phase = state === "error" && this.began ? "after" : PHASES[state];
    this.root.dataset.phase = phase;
    this.statusElement.dataset.state = state;
    say(part(this.root, "status-text"), text);
    const bar = part(this.root, "status-progress");
    show(bar, progress !== null);
    if (progress !== null) bar.value = progress;
    const busy = phase === "busy" || phase === "live";
    show(this.buttons.start, !busy);
    // where a GPU could not be had, or its time is over, the talk goes on without one
    show(this.buttons.beside, this.leased && !busy && state !== "idle" && this.ended?.reason !== "stopped");
    show(this.buttons.stop, busy);
    show(this.buttons.mute, phase === "live");
    show(this.buttons.hush, phase === "live" && this.engineName !== "echo");
    say(this.buttons.stop, phase === "live" ? "Stop" : "Cancel");
    say(part(this.root, "start-text"), phase === "after" ? "Talk again" : state === "error" ? "Try again" : "Start talking");
    say(part(this.root, "captions-title"), phase === "after" ? "What was said" : "As it is said");
    show(part(this.root, "setup"), !busy);
    show(part(this.root, "after"), phase === "after" && Boolean(this.recording));
  }

  notify(text) {
    const notice = part(this.root, "notice");
    say(notice, text);
    show(notice, Boolean(text));
  }

  // the engine

  async poll() {
    let next_ms = POLL_CALM_MS;
    if (!document.hidden && PHASES[this.state] !== "live") {
      try {
        this.status = await api.status();
        this.setup.fill(this.status);
        this.sampling.fill(this.status);
        this.showEngine(this.status.engine);
        if (!["ready", "failed"].includes(this.status.engine.stage)) next_ms = POLL_BUSY_MS;
        if (this.state === "idle") this.idle();
      } catch (error) {
        next_ms = POLL_BUSY_MS * 3;
        if (this.state === "idle") this.enter("idle", error.message);
      }
    }
    clearTimeout(this.polling);
    this.polling = setTimeout(() => this.poll(), next_ms);
  }

  idle() {
    const { engine, available } = this.status;
    if (engine.stage === "failed") return this.enter("error", `${engine.title} could not start. ${engine.detail}`);
    if (engine.stage !== "ready") return this.enter("idle", `${preparing(engine, engine.title)} ${TEXT.notReady}`, { progress: engine.progress });
    return this.enter("idle", !available ? TEXT.draining : this.status.lease ? TEXT.readyLease : TEXT.ready);
  }

  showEngine(engine, speaking = false) {
    this.engineName = engine.name;
    const line = part(this.root, "engine-text");
    const key = JSON.stringify([engine.title, engine.why, engine.next_step, engine.about, engine.instead_of, speaking]);
    this.root.querySelector("#talk-engine").dataset.stage = engine.stage ?? "ready";
    if (line.dataset.key === key) return;
    line.dataset.key = key;
    const fold = (title, text) => (text ? h("details", { class: "better" }, h("summary", {}, title), h("span", {}, linked(text))) : "");
    const better = engine.instead_of ? "" : fold("A better one?", engine.next_step);
    line.replaceChildren(h("span", {}, speaking ? "Speaking now: " : "Will speak: ", h("b", {}, engine.title)), h("span", { class: "engine-why" }, engine.why ?? ""), fold("How it runs here", engine.about), better);
    const fallback = part(this.root, "fallback");
    show(fallback, Boolean(engine.instead_of));
    if (engine.instead_of) fallback.replaceChildren(h("b", {}, `${engine.instead_of_title} is not speaking. `), ...linked(engine.next_step), ` Until then ${engine.title} takes its place.`);
  }

  // a talk

  /** `engine` names another than the page's own. */
  async start(engine = "") {
    if (PHASES[this.state] === "busy" || PHASES[this.state] === "live") return;
    const problem = this.setup.problem();
    if (problem) {
      this.notify(problem === "empty" ? TEXT.emptyPrompt : `The role prompt has ${this.setup.prompt.value.length} characters; the limit is ${this.setup.limitChars}. Shorten it and start again.`);
      this.setup.prompt.focus();
      return;
    }
    const wrong = this.sampling.problem();
    if (wrong) return this.notify(wrong);
    this.setup.hush();
    this.reset();
    const rig = new AudioRig(api.folder, {
      heard: (peaks) => this.heard(peaks),
      played: (first, peaks) => this.played(first, peaks),
      report: (report) => this.report(report),
      unplugged: () => this.notify(audioTrouble("unplugged")),
    });
    this.rig = rig;
    this.enter("connecting", TEXT.microphone);
    this.buttons.stop.focus({ preventScroll: true });
    try {
      await rig.open();
      if (this.rig !== rig) return;
      this.enter("connecting", TEXT.connecting);
      const request = { ...this.setup.request(engine), ...this.sampling.values(), owner: api.ownerKey() };
      this.client = new Connection(api.folder, api.base, request, rig.ports(), this.handlers());
    } catch (error) {
      if (this.rig === rig) this.fail(error instanceof AudioTrouble ? audioTrouble(error.code) : `The sound could not be started: ${error.message}`);
    }
  }

  reset() {
    this.recording?.destroy();
    this.recording = null;
    this.lane.destroy();
    this.lane = new DuplexLane(this.laneElement, { live: true });
    this.client = null;
    this.ready = null;
    this.ended = null;
    this.failure = null;
    this.leased = false;
    this.bins = 0; // of the user's envelope so far, which is the talk's clock
    this.began = false;
    this.muted = false;
    this.spoken = null;
    this.readouts.clear();
    this.notify("");
    this.mute(false);
  }

  handlers() {
    return {
      transport: (name) => {
        this.readouts.set("transport", name, name === "socket" ? "" : TEXT.fallback);
      },
      text: (piece) => this.piece(piece),
      event: (event) => this.take(event),
      failure: (text) => (this.failure = text),
      unreachable: () => this.fail(TEXT.unreachable),
      closed: (event) => this.closed(event),
    };
  }

  take(event) {
    switch (event.type) {
      case "preparing":
        return this.enter("preparing", `${preparing(event, event.engine_title)} ${TEXT.begins}`, { progress: event.progress });
      case "queued":
        return this.enter("queued", queued(event));
      case "lease":
        // through Gradio's own client: it tells the platform whose visitor asks
        this.leased = true;
        this.trigger("submit", { lease: event.token });
        return this.enter("queued", TEXT.lease);
      case "ready":
        return this.live(event);
      case "utterance":
        this.lane.data.say(event);
        return this.captions.put(event);
      case "mark":
        return this.lane.data.mark(event);
      case "turn_latency":
        return this.readouts.set("turn", ms(event.latency_ms));
      case "stats":
        if (event.trip_ms) this.readouts.set("trip", ms(event.trip_ms));
        if (event.dropped_frames > 5) this.notify(TEXT.slow);
        return this.readouts.stats(event);
      case "limit":
        this.idleWarned = event.reason === "idle";
        if (event.reason === "draining") this.readouts.countDown(event.left_s);
        return this.notify(limit(event));
      case "sampling":
        return this.sampling.inForce(event);
      case "notice":
        if (event.code === "sampling_refused") this.sampling.refused();
        return this.notify(event.text);
      case "ended":
        this.ended = event;
        return null;
    }
    return null;
  }

  live(ready) {
    this.ready = ready;
    this.began = true;
    remember(ready.talk_id);
    this.engineName = ready.engine;
    const known = this.status?.engine.name === ready.engine ? this.status.engine : {};
    this.showEngine({ ...known, name: ready.engine, title: ready.engine_title, stage: "ready" }, true);
    const seesWords = ready.capabilities?.user_captions || ready.capabilities?.agent_captions;
    this.captions.clear(seesWords ? "Words appear here as they are spoken." : `${ready.engine_title} has no captions: it does not know words.`);
    this.enter("live", ready.engine === "echo" ? TEXT.liveEcho : TEXT.live);
    if (ready.keep_problem) this.notify(ready.keep_problem);
    this.sampling.begin(ready.sampling);
    this.readouts.countDown(ready.limit_s);
    this.meters.start();
    // the envelope of a frame comes when the frame is full: the picture runs that far behind, so that its edge is never empty
    const began_ms = performance.now();
    this.lane.start(() => Math.max(0, (performance.now() - began_ms) / 1000 - FRAME_S));
    this.buttons.mute.focus({ preventScroll: true });
  }

  heard(peaks) {
    this.lane.data.put("user", this.bins, peaks);
    this.bins += peaks.length;
    this.meters.hear("user", peaks);
    if (this.idleWarned && Math.max(...peaks) > 0.05) {
      this.idleWarned = false;
      this.notify("");
    }
  }

  played(first, peaks) {
    this.lane.data.put("agent", first, peaks);
    this.meters.hear("agent", peaks);
  }

  report(report) {
    if (this.state !== "live") return;
    this.readouts.playback(report);
    this.client.order("playback", { buffer_ms: report.buffer_ms, underruns: report.underruns, trimmed_ms: report.trimmed_ms });
  }

  /** The agent's text where the engine gives no utterances. */
  piece(text) {
    if (!this.ready || this.ready.capabilities?.agent_captions) return;
    const at = this.bins / PEAKS_PER_S;
    if (!this.spoken || at - this.spoken.end_s > 1.2) this.spoken = { id: `text-${at}`, speaker: "agent", text: "", start_s: at, final: true, words: [] };
    this.spoken.text += text;
    this.spoken.words.push([text, at, at]);
    this.spoken.end_s = at;
    this.lane.data.say(this.spoken);
    this.captions.put(this.spoken);
  }

  mute(on) {
    this.muted = on;
    this.rig?.mute(on);
    this.lane.muted = on;
    this.buttons.mute.setAttribute("aria-pressed", String(on));
    say(this.buttons.mute, on ? "Unmute" : "Mute");
    if (this.state !== "live") return;
    this.client.order("mute", { on });
    this.enter("live", on ? TEXT.muted : this.engineName === "echo" ? TEXT.liveEcho : TEXT.live);
  }

  stop() {
    if (this.state !== "live") return this.cancel();
    this.client.order("stop");
    this.letGo();
    say(part(this.root, "status-text"), "Ending…");
    const client = this.client;
    setTimeout(() => {
      if (this.client !== client || this.state !== "live") return;
      client.close();
      this.closed({ code: 1006, heard: true });
    }, END_PATIENCE_MS);
  }

  cancel() {
    this.letGo();
    this.client?.close();
    this.client = null;
    this.enter("idle", TEXT.ready);
    if (this.status) this.idle();
    this.buttons.start.focus({ preventScroll: true });
  }

  letGo() {
    this.rig?.close();
    this.rig = null;
    this.lane.stop();
    this.meters.stop();
    this.sampling.end();
  }

  fail(text) {
    this.letGo();
    this.client?.close();
    this.client = null;
    this.enter("error", text);
  }

  // after a talk

  closed(event) {
    this.letGo();
    this.client = null;
    this.notify(""); // it spoke of a talk that still ran
    clearInterval(this.readouts.timer);
    if (this.status) this.showEngine(this.status.engine);
    const { ended, failure } = this;
    // the engine may have been replaced; the state below decides whether the page says that it is ready
    setTimeout(() => this.poll());
    if (!this.began) {
      return this.enter("error", failure ?? ended?.text ?? (event.heard ? TEXT.lostEarly : event.reason || TEXT.unreachable));
    }
    const id = ended?.talk_id ?? this.ready.talk_id;
    const whole = ended && ["stopped", "time_limit", "idle", "draining"].includes(ended.reason);
    this.lane.set(this.lane.data);
    this.enter(whole ? "ended" : "error", failure ?? ended?.text ?? TEXT.lost);
    return id ? this.offerLost(id, Boolean(ended)) : null;
  }

  /** Show the recording as soon as the server has closed it. */
  async offer(id, patience_ms) {
    const deadline = performance.now() + patience_ms;
    const before = this.state;
    for (;;) {
      try {
        const talk = await api.talk(id);
        if (this.state !== before) return true;
        if (talk.status !== "live") {
          this.showRecording(talk);
          forget();
          return true;
        }
      } catch (error) {
        if (error.status && error.status !== 409) return false;
      }
      if (performance.now() > deadline || this.state !== before) return false;
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  }

  /** Offer it, and where the server could not say goodbye, tell whether it was found. */
  async offerLost(id, toldSo) {
    const found = await this.offer(id, toldSo ? 3000 : RECORDING_PATIENCE_MS);
    if (!toldSo && this.state === "error") this.enter("error", found ? TEXT.lostFound : TEXT.lostAway);
  }

  showRecording(talk) {
    this.lane.destroy();
    this.captions.clear("No words were recognised in this talk.");
    this.recording = new Recording(talk, {
      lane: this.laneElement,
      captions: this.captions.list,
      ondeleted: () => {
        this.recording = null;
        this.captions.clear("");
        this.lane = new DuplexLane(this.laneElement, { live: true });
        this.began = false;
        this.enter("idle", "Deleted for good.");
      },
    });
    this.lane = this.recording.lane;
    show(this.captions.empty, !this.recording.rows.length);
    const length = `${clock(talk.duration_s)} of talk`;
    part(this.root, "after").replaceChildren(h("h2", {}, talk.status === "interrupted" ? `${length}, cut short` : length), this.recording.element);
    show(part(this.root, "after"), true);
  }

  /** After a reload in mid-talk: say so, and bring the recording. */
  async recover() {
    const id = remembered();
    if (!id) return;
    this.began = true;
    this.enter("ended", TEXT.reloaded);
    if (!(await this.offer(id, RECORDING_PATIENCE_MS)) && this.state === "ended") this.enter("ended", TEXT.reloadedGone);
    forget();
  }

  // keys

  key(event) {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || this.root.offsetParent === null) return;
    const target = event.target;
    if (target.closest?.("textarea, select, input:not([type=radio], [type=checkbox]), [contenteditable=true]")) return;
    const busy = PHASES[this.state] === "busy" || PHASES[this.state] === "live";
    if (event.key === " " && !busy && !target.closest?.("button, a, summary, input, [role=slider], [role=tab]")) {
      event.preventDefault();
      this.start();
    } else if (event.key === "Escape" && busy) this.stop();
    else if (event.key.toLowerCase() === "m" && this.state === "live") this.mute(!this.muted);
  }
}
