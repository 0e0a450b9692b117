// The Talk tab: from the press on Start to the recording. Says in one place, `data-state` of #talk-status, where it is.

import * as api from "../shared/api.js";
import { nameHost } from "../shared/host.js";
import { DuplexLane } from "../shared/lane.js";
import { t, told } from "../shared/strings.js";
import { whenIdle } from "../shared/texts.js";
import { showRecording } from "./after-talk.js";
import { Captions, Meters, Readouts } from "./captions-meters.js";
import { EngineLine } from "./engine-line.js";
import { obeyKeys } from "./keys.js";
import { finished, forget, remember, remembered } from "./last-talk.js";
import { LiveTalk } from "./live-talk.js";
import { Sampling } from "./sampling.js";
import { Setup } from "./setup.js";
import { Stage } from "./stage.js";
import { StatusPoll } from "./status-poll.js";
import { TypedLine } from "./typed-line.js";

// a busy server finishes the recording before it says goodbye
const END_PATIENCE_MS = 12000;
const RECORDING_PATIENCE_MS = 30000;
const WHOLE = ["stopped", "time_limit", "idle", "draining"];

/** Called by Gradio's component; `trigger` asks the platform for a GPU in the visitor's name. */
export function mount(element, props, watch, trigger) {
  new TalkPage(element.querySelector(".talk"), trigger);
}

class TalkPage {
  constructor(root, trigger) {
    this.root = root;
    this.trigger = trigger;
    this.stage = new Stage(
      root,
      (kind) => this.talk?.useDevice(kind),
      () => this.talk && this.mute(false),
    );
    this.status = null; // of the server, once it answered
    this.talk = null; // the one that runs
    this.began = false; // a talk has begun since the page was as new
    this.pressed = false; // Start was, before it was known who speaks
    this.leased = false;
    this.laneElement = root.querySelector("#talk-lane");
    this.engineLine = new EngineLine(root);
    this.captions = new Captions(root);
    this.meters = new Meters(root);
    this.readouts = new Readouts(root);
    this.setup = new Setup(root);
    this.sampling = new Sampling(root, (fields) => this.talk?.sample(fields));
    this.typed = new TypedLine(root, (text) => this.talk?.type(text));
    this.lane = new DuplexLane(this.laneElement, { live: true });
    this.poll = new StatusPoll({
      wanted: () => this.state !== "live",
      status: (status) => this.takeStatus(status),
      lost: (text) => this.lost(text),
    });
    this.listen();
    nameHost(root);
    this.enter("idle", t("looking"));
    this.recover();
    if ("pressed" in this.stage.buttons.start.dataset) this.start();
    this.poll.ask();
  }

  listen() {
    const { start, beside, stop, mute, hush } = this.stage.buttons;
    start.addEventListener("click", () => this.start());
    beside.addEventListener("click", () => this.start(this.status.lease.beside.name));
    stop.addEventListener("click", () => this.stop());
    mute.addEventListener("click", () => this.mute(!this.muted));
    hush.addEventListener("click", () => this.talk?.interrupt());
    obeyKeys(this);
    // a page that goes frees its place at once; it may come back as it was
    window.addEventListener("pagehide", () => this.leave());
    window.addEventListener("pageshow", ({ persisted }) => persisted && this.recover(t("restored")));
  }

  get state() {
    return this.stage.state;
  }

  enter(state, text, progress = null) {
    this.stage.enter(state, text, progress, {
      began: this.began,
      recorded: Boolean(this.recording),
      echo: this.engineName === "echo",
      // where a GPU could not be had, or its time is over, the talk goes on without one
      besideHelps: this.leased && this.endReason !== "stopped",
    });
  }

  notify(text) {
    this.stage.notify(text);
  }

  // the engine

  takeStatus(status) {
    this.status = status;
    this.setup.fill(status);
    this.sampling.fill(status);
    this.showEngine(status.engine);
    if (this.state === "idle") this.enter(...whenIdle(status));
    if (this.pressed) this.start();
  }

  lost(text) {
    this.pressed = false;
    if (this.state === "idle") this.enter("idle", text);
  }

  showEngine(engine, speaking = false) {
    this.engineName = engine.name;
    this.engineLine.show(engine, speaking);
  }

  // a talk

  /** Start a talk; `engine` names another than the page's own. */
  async start(engine = "") {
    if (this.stage.busy) return;
    this.pressed = !this.status;
    if (this.pressed) {
      this.enter("idle", t("pressed"));
      return;
    }
    const problem = this.setup.problem() ?? this.sampling.problem();
    if (problem) {
      this.notify(problem);
      return;
    }
    this.setup.hush();
    this.reset();
    const { lane, captions, meters, readouts, sampling, typed } = this;
    const talk = new LiveTalk({ lane, captions, meters, readouts, sampling, typed }, this.handlers());
    this.talk = talk;
    this.mute(false);
    this.enter("connecting", t("microphone_asked"));
    this.stage.buttons.stop.focus({ preventScroll: true });
    await talk.start({ ...this.setup.request(engine), ...this.sampling.values(), owner: api.ownerKey() });
  }

  reset() {
    this.recording?.destroy();
    this.recording = null;
    this.lane.destroy();
    this.lane = new DuplexLane(this.laneElement, { live: true });
    this.leased = false;
    this.endReason = null;
    this.began = false;
    this.readouts.clear();
    this.notify("");
  }

  handlers() {
    return {
      enter: (state, text, progress) => this.enter(state, text, progress ?? null),
      notify: (text) => this.notify(text),
      lease: (token) => {
        this.leased = true;
        // through Gradio's own client: it tells the platform whose visitor asks
        this.trigger("submit", { lease: token });
      },
      ready: (ready) => this.live(ready),
      failed: (text) => this.fail(text),
      closed: (end) => this.closed(end),
    };
  }

  live(ready) {
    this.began = true;
    remember(ready.talk_id);
    const known = this.status?.engine.name === ready.engine ? this.status.engine : {};
    const { engine: name, engine_title: title, stand_in } = ready;
    this.showEngine({ ...known, name, title, stand_in, stage: "ready" }, true);
    this.enter("live", this.liveText());
    if (ready.keep_problem) this.notify(told(ready.keep_problem));
    this.stage.focusMicrophone();
  }

  liveText() {
    if (this.stage.pushToTalk.on) return t("pushToTalk");
    if (this.muted) return t("muted");
    return this.engineName === "echo" ? t("liveEcho") : t("live");
  }

  mute(on) {
    const { pushToTalk } = this.stage;
    this.muted = on;
    const silent = pushToTalk.on ? !pushToTalk.held : on;
    this.talk.mute(silent);
    this.lane.muted = silent;
    this.stage.showMuted(on);
    if (this.state === "live") this.stage.tell(this.liveText());
  }

  stop() {
    if (this.state !== "live") {
      this.cancel();
      return;
    }
    const talk = this.talk;
    talk.stop();
    this.stage.tell(t("ending"));
    setTimeout(() => {
      if (this.talk !== talk || this.state !== "live") return;
      talk.close();
      this.closed({ code: 1006, reason: "", heard: true });
    }, END_PATIENCE_MS);
  }

  cancel() {
    this.talk?.close();
    this.talk = null;
    this.enter("idle", t("ready"));
    if (this.status) this.enter(...whenIdle(this.status));
    this.stage.buttons.start.focus({ preventScroll: true });
  }

  fail(text, state = "error") {
    this.talk?.close();
    this.talk = null;
    this.enter(state, text);
  }

  // after a talk

  closed(end) {
    const { ready, ended, failure } = this.talk;
    this.talk.letGo();
    this.talk = null;
    this.endReason = ended?.reason;
    this.notify(""); // it spoke of a talk that still ran
    if (this.status) this.showEngine(this.status.engine);
    // the engine may have been replaced; the state below decides whether the page says that it is ready
    setTimeout(() => this.poll.ask());
    const why = failure ?? ended?.text;
    if (!ready) {
      const untold = end.heard ? t("lostEarly") : end.reason || t("unreachable");
      this.enter("error", why ?? untold);
      return;
    }
    this.lane.set(this.lane.data);
    this.enter(WHOLE.includes(ended?.reason) ? "ended" : "error", why ?? t("lost"));
    const id = ended?.talk_id ?? ready.talk_id;
    if (id) this.offerLost(id, Boolean(ended));
  }

  /** Show a talk's recording as soon as the server has closed it; false when it is not found in time. */
  async offer(id) {
    const before = this.state;
    const talk = await finished(id, RECORDING_PATIENCE_MS, () => this.state === before);
    if (!talk) return false;
    this.showRecording(talk);
    forget();
    return true;
  }

  /** Offer it, and where the server could not say goodbye, tell whether it was found. */
  async offerLost(id, toldSo) {
    const found = await this.offer(id);
    if (!toldSo && this.state === "error") this.enter("error", found ? t("lostFound") : t("lostAway"));
  }

  showRecording(talk) {
    this.lane.destroy();
    this.recording = showRecording(this.root, talk, this.captions, () => this.forgetRecording());
    this.lane = this.recording.lane;
  }

  forgetRecording() {
    this.recording = null;
    this.captions.clear("");
    this.lane = new DuplexLane(this.laneElement, { live: true });
    this.began = false;
    this.enter("idle", t("deleted"));
  }

  /** The talk is over with the page, also where the browser keeps the page to bring it back. */
  leave() {
    if (this.talk) this.fail(t("left"), this.state === "live" ? "ended" : "idle");
  }

  /** After a reload or a return in mid-talk: say so, and bring the recording. */
  async recover(text = t("reloaded")) {
    const id = remembered();
    if (!id) return;
    this.began = true;
    this.enter("ended", text);
    const found = await this.offer(id);
    if (!found && this.state === "ended") this.enter("ended", t("reloadedGone"));
    forget();
  }
}
