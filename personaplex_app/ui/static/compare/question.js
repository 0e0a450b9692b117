// What both sides of a pair answer: the question as text and as sound.

import { h, say, show } from "../shared/dom.js";
import { Player } from "../shared/player.js";

const NO_LANE = { playAt() {}, destroy() {} };

export class Question {
  /** @param {() => Promise<Blob>} load gives the sound */
  constructor(load) {
    const notice = h("p", { class: "hint clip-notice", role: "status" });
    this.player = new Player(NO_LANE, load, {
      name: "the question",
      tell: (text) => say(notice, text),
    });
    this.text = h("blockquote", { class: "blind-question-text" }, "…");
    const attributes = { class: "blind-question", role: "group", "aria-label": "The question" };
    this.element = h("div", attributes, this.player.button, this.text, notice);
  }

  /** Show what is asked; "" where the words are not known. */
  set(text) {
    say(this.text, text);
    show(this.text, Boolean(text));
  }

  destroy() {
    this.player.destroy();
  }
}
