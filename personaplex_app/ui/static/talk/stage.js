// What the Talk tab shows in each of its states: which parts, which buttons, which words. `data-phase` of the tab and
// `data-state` of #talk-status are what style sheets and other programs see of it.

import { linked, notify, part, say, show } from "../shared/dom.js";
import { t } from "../shared/strings.js";
import { DevicePanel } from "./device-panel.js";
import { PushToTalk } from "./push-to-talk.js";
import { WakeLock } from "./wake-lock.js";

const PHASES = {
  idle: "idle",
  preparing: "busy",
  queued: "busy",
  connecting: "busy",
  live: "live",
  ended: "after",
  error: "idle",
};
// before the page's own title, for who looks at another tab of the browser
const TITLED = ["preparing", "queued", "connecting", "live"];
const BUTTONS = ["start", "beside", "stop", "mute", "hush"];

/**
 * @typedef {object} TalkFacts what the buttons depend on beside the state
 * @property {boolean} began a talk has begun since the page was as new
 * @property {boolean} recorded there is a recording to show
 * @property {boolean} echo the engine says back what it hears
 * @property {boolean} besideHelps the engine that needs no GPU may go on
 */

export class Stage {
  /**
   * @param {(kind: string) => void} deviceChanged see `DevicePanel`
   * @param {() => void} holdChanged see `PushToTalk`
   */
  constructor(root, deviceChanged, holdChanged) {
    this.root = root;
    this.statusElement = root.querySelector("#talk-status");
    this.buttons = Object.fromEntries(BUTTONS.map((name) => [name, root.querySelector(`#talk-${name}`)]));
    this.devices = new DevicePanel(root, deviceChanged);
    this.pushToTalk = new PushToTalk(root, () => {
      show(this.buttons.mute, this.phase === "live" && !this.pushToTalk.on);
      holdChanged();
    });
    this.wakeLock = new WakeLock();
    this.title = document.title;
    this.state = "idle";
    this.phase = "idle";
  }

  /** A talk is on its way or running. */
  get busy() {
    return this.phase === "busy" || this.phase === "live";
  }

  /**
   * @param {string} state one of PHASES
   * @param {string} text
   * @param {number|null} progress from 0 to 1
   * @param {TalkFacts} facts
   */
  enter(state, text, progress, facts) {
    this.state = state;
    // what was said stays in view when a talk fails
    this.phase = state === "error" && facts.began ? "after" : PHASES[state];
    this.root.dataset.phase = this.phase;
    this.statusElement.dataset.state = state;
    document.title = [TITLED.includes(state) && t(`title_${state}`), this.title].filter(Boolean).join(" · ");
    this.wakeLock.keep(this.busy);
    if (this.busy) this.devices.rest();
    if (state === "live") {
      // only now may their names be known
      this.devices.offer();
      // on a phone nothing that a talk needs is to be scrolled to
      if (matchMedia("(max-width: 560px)").matches) this.root.scrollIntoView();
    }
    this.tell(text);
    const bar = part(this.root, "status-progress");
    show(bar, progress !== null);
    if (progress !== null) bar.value = progress;
    this.showButtons(facts);
    const after = this.phase === "after";
    say(part(this.root, "captions-title"), t(after ? "said_then" : "said_now"));
    show(part(this.root, "setup"), !this.busy);
    show(part(this.root, "after"), after && facts.recorded);
  }

  showButtons({ echo, besideHelps }) {
    const { start, beside, stop, mute, hush } = this.buttons;
    const live = this.phase === "live";
    show(start, !this.busy);
    show(beside, besideHelps && !this.busy && this.state !== "idle");
    show(stop, this.busy);
    this.pushToTalk.show(live);
    show(mute, live && !this.pushToTalk.on);
    show(hush, live && !echo);
    say(stop, t(live ? "stop" : "cancel"));
    say(part(this.root, "start-text"), this.startWord());
  }

  startWord() {
    if (this.phase === "after") return t("start_again");
    return t(this.state === "error" ? "try_again" : "start");
  }

  /** Say something else in the same state. */
  tell(text) {
    const element = part(this.root, "status-text");
    if (element.textContent !== text) element.replaceChildren(...linked(text));
  }

  /** Say something that is worth knowing in any state; an empty text takes that back. */
  notify(text) {
    notify(part(this.root, "notice"), text);
  }

  /** Where the keyboard goes when a talk begins. */
  focusMicrophone() {
    const button = this.pushToTalk.on ? this.pushToTalk.button : this.buttons.mute;
    button.focus({ preventScroll: true });
  }

  showMuted(on) {
    this.buttons.mute.setAttribute("aria-pressed", String(on));
    say(this.buttons.mute, t(on ? "unmute" : "mute"));
  }
}
