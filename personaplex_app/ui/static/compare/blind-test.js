// The blind test: pairs without names. A vote unlocks when both sides were heard, and is on the server's disk when the
// next pair comes.

import { ClipPlayer } from "../shared/clip-player.js";
import { button, h, say } from "../shared/dom.js";
import { board } from "./board.js";
import * as api from "./compare-api.js";
import { Question } from "./question.js";

const SIDES = ["left", "right"];
const NAMES = { left: "A", right: "B" };
const CHOICES = [
  ["left", "A is better", "←"],
  ["tie", "Just as good", "="],
  ["right", "B is better", "→"],
  ["both_bad", "Both are bad", "0"],
];
const KEYS = { ArrowLeft: "left", ArrowRight: "right", "=": "tie", t: "tie", 0: "both_bad" };
const REASONS = {
  naturalness: "sounds natural",
  voice: "a pleasant voice",
  timing: "well timed",
  content: "says the right thing",
  artefacts: "fewer artefacts",
};

const BOARD_VOTES = 10;
const STORED =
  "It goes on for as long as you like, and you can stop any time; a board shows what the votes say from " +
  `${BOARD_VOTES} on. Yours are stored under a number that is not your name.`;
const HEARD_TOLERANCE_S = 0.01;

export class BlindTest {
  /**
   * @param {HTMLElement} element
   * @param {object} on
   * @param {() => void} on.back
   * @param {(testId: string) => Promise<void>} on.results the voices are named
   * @param {(text: string) => void} on.tell
   */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.clips = {}; // a player for each side of the trial
    this.title = (kind, name) => name;
  }

  /** Take what `compare-api.offer` gives. */
  offer({ reasons }) {
    this.reasons = reasons;
  }

  hush() {
    this.question?.player.pause();
    for (const side of SIDES) this.clips[side]?.player.pause();
  }

  /** Show a test where this listener is in it; who has not begun is at the first pair. */
  async open(id) {
    this.id = id;
    let state = await api.test(id);
    if (state.phase === "new") state = await api.begin(id);
    this.update(state);
    return state;
  }

  /** Show where this listener is, as `compare-api.test` tells it. */
  update(state) {
    const same =
      this.state?.trial?.token === state.trial?.token &&
      this.state?.test === state.test &&
      this.state?.phase === state.phase;
    this.state = state;
    if (same) return;
    for (const side of SIDES) this.clips[side]?.destroy();
    this.question?.destroy();
    this.clips = {};
    if (state.phase === "voting") this.showTrial();
    else if (state.phase === "done") this.showDone();
  }

  showTrial() {
    const { trial } = this.state;
    const { token } = trial;
    for (const side of SIDES) {
      this.clips[side] = new ClipPlayer(() => api.trialSound(this.id, token, side), {
        name: `side ${NAMES[side]}`,
        tall: true,
        onheard: () => this.unlock(),
      });
    }
    this.buttons = CHOICES.map((choice) => this.choiceButton(choice));
    this.unlocking = h("p", { class: "status", role: "status" });
    const role = trial.persona ? `, as ${this.title("persona", trial.persona)}` : "";
    this.question = new Question(() => api.questionSound(this.id, token));
    this.board = h("section", { class: "blind-board", "aria-label": "The board so far" });
    this.element.replaceChildren(
      this.trialHead(),
      h("p", { class: "hint" }, `Two answers to the same question${role}.`),
      this.question.element,
      h("div", { class: "blind-sides" }, this.side("left"), this.side("right")),
      this.unlocking,
      h("div", { class: "blind-choices", role: "group", "aria-label": "Your vote" }, this.buttons),
      this.reasonsFold(),
      h(
        "div",
        { class: "compare-actions" },
        this.state.total === null && this.stopButton(),
        this.undoButton(!this.state.can_undo),
        this.backButton("Leave; you can go on later"),
      ),
      keysHint(),
      h("p", { class: "hint" }, STORED),
      this.board,
    );
    this.unlock();
    this.fillTrial(token);
  }

  /** Draw what is to be heard, which takes longer than to show the pair, and the board. */
  async fillTrial(token) {
    try {
      const lanes = await api.lanes(this.id, token);
      if (this.state.trial?.token !== token) return;
      for (const side of SIDES) this.clips[side]?.set(lanes[side]);
      this.question.set(lanes.question);
      if (this.state.done >= BOARD_VOTES) this.board.replaceChildren(...board(await api.board(this.id)));
    } catch (error) {
      this.on.tell(error.message);
    }
  }

  trialHead() {
    const { done, total } = this.state;
    const label = `${done} of ${total} pairs have your vote`;
    const count = total === null ? `Pair ${done + 1}` : `Pair ${done + 1} of ${total}`;
    return h(
      "div",
      { class: "blind-head" },
      h("h1", {}, "Which is better?"),
      h("p", { class: "blind-count" }, count),
      total !== null && h("progress", { max: String(total), value: done, "aria-label": label }),
    );
  }

  side(side) {
    const attributes = { class: "blind-side", role: "group", "aria-label": `Side ${NAMES[side]}` };
    return h("div", attributes, h("h2", {}, NAMES[side]), this.clips[side].element);
  }

  choiceButton([choice, text, key]) {
    const onclick = () => this.vote(choice);
    const attributes = { class: "button blind-choice", dataset: { choice }, disabled: true, onclick };
    const made = button(`${text} `, attributes);
    made.append(h("kbd", { "aria-hidden": "true" }, key));
    return made;
  }

  reasonsFold() {
    this.why = (this.reasons ?? []).map((reason) => {
      const box = h("input", { type: "checkbox", name: "reason", value: reason });
      return h("label", { class: "blind-reason" }, box, h("span", {}, REASONS[reason] ?? reason));
    });
    this.comment = h("textarea", {
      rows: "2",
      maxlength: "500",
      "aria-label": "Comment on this pair",
      placeholder: "A remark (optional)",
    });
    return h(
      "details",
      { class: "advanced" },
      h("summary", {}, "Why? (optional, choose before you vote)"),
      h("div", { class: "blind-reasons", role: "group", "aria-label": "Reasons" }, this.why),
      h("div", { class: "rating" }, this.comment),
    );
  }

  /** Votes are possible once both sides were heard. */
  unlock() {
    const needed = this.state.trial?.needed_s;
    if (!needed || !this.clips.left) return;
    const missing = SIDES.map((side) => [side, needed[side] - this.clips[side].heard_s]);
    const unheard = missing.filter(([, seconds]) => seconds > HEARD_TOLERANCE_S);
    for (const each of this.buttons) each.disabled = unheard.length > 0 || this.busy;
    const more = unheard.map(([side, seconds]) => `${Math.ceil(seconds)} s more of ${NAMES[side]}`);
    say(this.unlocking, more.length ? `Listen first: ${more.join(", ")}.` : "You heard both. Your vote?");
  }

  showDone() {
    const reveal = button("Tell the names", { id: "blind-reveal", onclick: () => this.finish() }, "primary");
    const explained = "Every pair has your vote. Once the names are told, your votes stand.";
    this.element.replaceChildren(
      h("h1", {}, "That was the last pair."),
      h("p", { class: "hint compare-lead" }, explained),
      h("div", { class: "compare-go" }, reveal, this.undoButton()),
    );
    reveal.focus();
  }

  undoButton(disabled = false) {
    const onclick = () => this.acting(() => api.undo(this.id));
    return button("Undo the last vote", { dataset: { act: "undo" }, disabled, onclick });
  }

  stopButton() {
    const disabled = !this.state.done;
    const title = "Tells the names and what the votes say; your votes stand then";
    const onclick = () => this.finish();
    return button("Stop and see the results", { id: "blind-stop", disabled, title, onclick });
  }

  async finish() {
    await this.acting(() => api.reveal(this.id));
    if (this.state.phase === "revealed") await this.on.results(this.id);
  }

  vote(choice) {
    const ofSides = (value) => Object.fromEntries(SIDES.map((side) => [side, value(this.clips[side])]));
    const boxes = this.why.map((label) => label.querySelector("input"));
    const ballot = {
      token: this.state.trial.token,
      choice,
      heard_s: ofSides((clip) => clip.heard_s),
      plays: ofSides((clip) => clip.plays),
      reasons: boxes.filter((box) => box.checked).map((box) => box.value),
      comment: this.comment.value,
    };
    return this.acting(() => api.vote(this.id, ballot));
  }

  /** Do what brings the listener to another state; one thing at a time. */
  async acting(work) {
    if (this.busy) return;
    this.busy = true;
    this.on.tell("");
    try {
      this.update(await work());
    } catch (error) {
      this.on.tell(error.message);
      if (error.status === 400) await this.catchUp();
    } finally {
      this.busy = false;
      if (this.state.phase === "voting") this.unlock();
    }
  }

  /** Whatever went wrong, the server knows where this listener is. */
  async catchUp() {
    try {
      this.update(await api.test(this.id));
    } catch {
      // what went wrong first has been told
    }
  }

  backButton(text = "Back") {
    return button(text, { onclick: () => this.on.back() });
  }

  /** Vote, play or undo by key; `event` is a KeyboardEvent anywhere on the page. */
  key(event) {
    if (this.state?.phase !== "voting" || !isOurs(event)) return;
    const letter = event.key.toLowerCase();
    const choice = KEYS[event.key];
    const chosen = choice && this.buttons.find((each) => each.dataset.choice === choice);
    if (chosen && !chosen.disabled) this.vote(choice);
    else if (letter === "a") this.clips.left?.player.toggle();
    else if (letter === "b") this.clips.right?.player.toggle();
    else if (letter === "u" && this.state.can_undo) this.acting(() => api.undo(this.id));
    else return;
    event.preventDefault();
  }
}

/** Whether a key is not meant for something else on the page. */
function isOurs(event) {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return false;
  const within = (selector) => Boolean(event.target.closest?.(selector));
  if (within("textarea, select, input:not([type=checkbox])")) return false;
  // a lane and the tabs have a use of their own for the arrows
  return !(event.key.startsWith("Arrow") && within("[role=slider], [role=tab]"));
}

function keysHint() {
  const kbd = (key) => h("kbd", {}, key);
  const votes = CHOICES.flatMap(([, , key]) => [kbd(key), " "]);
  return h(
    "p",
    { class: "keys" },
    kbd("A"),
    " and ",
    kbd("B"),
    " play · ",
    votes,
    "vote · ",
    kbd("U"),
    " undoes",
  );
}
