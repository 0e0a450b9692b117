// The blind test: pairs without names. A vote unlocks when both sides were heard, and is on the server's disk when the next pair comes.

import * as api from "./compare-api.js";
import { Clip } from "./clip.js";
import { h, say, show } from "./dom.js";

const SIDES = ["left", "right"];
const NAMES = { left: "A", right: "B" };
const CHOICES = [
  ["left", "A is better", "←"],
  ["tie", "Just as good", "="],
  ["right", "B is better", "→"],
  ["both_bad", "Both are bad", "0"],
];
const KEYS = { ArrowLeft: "left", ArrowRight: "right", "=": "tie", t: "tie", 0: "both_bad" };
const REASONS = { naturalness: "sounds natural", voice: "a pleasant voice", timing: "well timed", content: "says the right thing", artefacts: "fewer artefacts" };

export class BlindTest {
  /** `on` has: back(), results(testId), tell(text). */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.clips = {};
    this.title = (kind, name) => name;
  }

  offer({ reasons, usual_trials }) {
    this.reasons = reasons;
    this.usual = usual_trials;
  }

  hush() {
    for (const side of SIDES) this.clips[side]?.pause();
  }

  /** Show a test where this listener is in it. */
  async open(id) {
    this.id = id;
    const state = await api.test(id);
    await this.update(state);
    return state;
  }

  async update(state) {
    const same = this.state?.trial?.token === state.trial?.token && this.state?.test === state.test && this.state?.phase === state.phase;
    this.state = state;
    if (same) return;
    for (const side of SIDES) this.clips[side]?.destroy();
    this.clips = {};
    if (state.phase === "new") this.showInvitation();
    else if (state.phase === "voting") await this.showTrial();
    else if (state.phase === "done") this.showDone();
  }

  showInvitation() {
    const begin = h("button", { type: "button", class: "button button-primary", onclick: () => this.acting(() => api.begin(this.id, this.usual)) }, "Begin");
    this.element.replaceChildren(
      h("h1", {}, "Two voices at a time, without names."),
      h("p", { class: "hint compare-lead" }, `You hear pairs of answers to the same recording and say which you prefer. ${this.state.voices} voices take part; which is which you learn at the end. Your votes are stored under a number that is not your name.`),
      h("div", { class: "compare-go" }, begin, this.backButton()),
    );
  }

  async showTrial() {
    const { trial } = this.state;
    const token = trial.token;
    for (const side of SIDES) {
      this.clips[side] = new Clip(() => api.trialSound(this.id, token, side), { name: `side ${NAMES[side]}`, tall: true, onheard: () => this.unlock() });
    }
    const side = (name) => h("div", { class: "blind-side", role: "group", "aria-label": `Side ${NAMES[name]}` }, h("h2", {}, NAMES[name]), this.clips[name].element);
    this.buttons = CHOICES.map(([choice, text, key]) => h("button", { type: "button", class: "button blind-choice", dataset: { choice }, disabled: true, onclick: () => this.vote(choice) }, text, " ", h("kbd", { "aria-hidden": "true" }, key)));
    this.unlocking = h("p", { class: "status", role: "status" });
    this.undoButton = h("button", { type: "button", class: "button", dataset: { act: "undo" }, disabled: !this.state.can_undo, onclick: () => this.acting(() => api.undo(this.id)) }, "Undo the last vote");
    this.why = (this.reasons ?? []).map((reason) => h("label", { class: "blind-reason" }, h("input", { type: "checkbox", name: "reason", value: reason }), h("span", {}, REASONS[reason] ?? reason)));
    this.comment = h("textarea", { rows: "2", maxlength: "500", "aria-label": "Comment on this pair", placeholder: "A remark (optional)" });
    const { done, total } = this.state;
    this.element.replaceChildren(
      h("div", { class: "blind-head" }, h("h1", {}, "Which is better?"), h("p", { class: "blind-count" }, `Pair ${done + 1} of ${total}`), h("progress", { max: String(total), value: done, "aria-label": `${done} of ${total} pairs have your vote` })),
      h("p", { class: "hint" }, `${trial.title}, as ${this.title("persona", trial.persona)}. You hear yourself left and the agent right; headphones tell them apart best.`),
      h("div", { class: "blind-sides" }, side("left"), side("right")),
      this.unlocking,
      h("div", { class: "blind-choices", role: "group", "aria-label": "Your vote" }, this.buttons),
      h("details", { class: "advanced" }, h("summary", {}, "Why? (optional, choose before you vote)"), h("div", { class: "blind-reasons", role: "group", "aria-label": "Reasons" }, this.why), h("div", { class: "rating" }, this.comment)),
      h("div", { class: "compare-actions" }, this.undoButton, this.backButton("Leave; you can go on later")),
      h("p", { class: "keys" }, h("kbd", {}, "A"), " and ", h("kbd", {}, "B"), " play · ", h("kbd", {}, "←"), " ", h("kbd", {}, "="), " ", h("kbd", {}, "→"), " ", h("kbd", {}, "0"), " vote · ", h("kbd", {}, "U"), " undoes"),
    );
    this.unlock();
    try {
      const lanes = await api.lanes(this.id, token);
      if (this.state.trial?.token === token) for (const each of SIDES) this.clips[each]?.set(lanes[each]);
    } catch (error) {
      this.on.tell(error.message);
    }
  }

  /** Votes are possible once both sides were heard. */
  unlock() {
    const needed = this.state.trial?.needed_s;
    if (!needed || !this.clips.left) return;
    const missing = SIDES.map((side) => [side, needed[side] - this.clips[side].heard_s]).filter(([, seconds]) => seconds > 0.01);
    for (const button of this.buttons) button.disabled = missing.length > 0 || this.busy;
    say(this.unlocking, missing.length ? `Listen first: ${missing.map(([side, seconds]) => `${Math.ceil(seconds)} s more of ${NAMES[side]}`).join(", ")}.` : "You heard both. Your vote?");
  }

  showDone() {
    const reveal = h("button", { type: "button", class: "button button-primary", id: "blind-reveal", onclick: () => this.finish() }, "Name the voices");
    const undo = h("button", { type: "button", class: "button", dataset: { act: "undo" }, onclick: () => this.acting(() => api.undo(this.id)) }, "Undo the last vote");
    this.element.replaceChildren(h("h1", {}, "That was the last pair."), h("p", { class: "hint compare-lead" }, `All ${this.state.total} have your vote. Once the voices are named, your votes stand.`), h("div", { class: "compare-go" }, reveal, undo));
    reveal.focus();
  }

  async finish() {
    await this.acting(() => api.reveal(this.id));
    if (this.state.phase === "revealed") await this.on.results(this.id);
  }

  vote(choice) {
    const heard_s = Object.fromEntries(SIDES.map((side) => [side, this.clips[side].heard_s]));
    const plays = Object.fromEntries(SIDES.map((side) => [side, this.clips[side].plays]));
    const reasons = this.why.map((label) => label.querySelector("input")).filter((box) => box.checked).map((box) => box.value);
    return this.acting(() => api.vote(this.id, { token: this.state.trial.token, choice, heard_s, plays, reasons, comment: this.comment.value }));
  }

  async acting(work) {
    if (this.busy) return;
    this.busy = true;
    this.on.tell("");
    try {
      await this.update(await work());
    } catch (error) {
      this.on.tell(error.message);
      // whatever it was, the server knows where this listener is
      if (error.status === 400) await api.test(this.id).then((state) => this.update(state), () => {});
    } finally {
      this.busy = false;
      if (this.state.phase === "voting") this.unlock();
    }
  }

  backButton(text = "Back") {
    return h("button", { type: "button", class: "button", onclick: () => this.on.back() }, text);
  }

  key(event) {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || this.state?.phase !== "voting") return;
    if (event.target.closest?.("textarea, select, input:not([type=checkbox])")) return;
    // a lane and the tabs have a use of their own for the arrows
    if (event.key.startsWith("Arrow") && event.target.closest?.("[role=slider], [role=tab]")) return;
    const choice = KEYS[event.key];
    const button = choice && this.buttons.find((each) => each.dataset.choice === choice);
    const letter = event.key.toLowerCase();
    if (button && !button.disabled) this.vote(choice);
    else if (letter === "a") this.clips.left?.toggle();
    else if (letter === "b") this.clips.right?.toggle();
    else if (letter === "u" && this.state.can_undo) this.acting(() => api.undo(this.id));
    else return;
    event.preventDefault();
  }
}
