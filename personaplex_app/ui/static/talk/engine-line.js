// The line that names the engine at all times: which one speaks, why it, and what would unlock a better one.

import { h, linked, part, show } from "../shared/dom.js";
import { languageText } from "../shared/texts.js";

export class EngineLine {
  constructor(root) {
    this.element = root.querySelector("#talk-engine");
    this.line = part(root, "engine-text");
    this.fallback = part(root, "fallback");
    this.shown = "";
  }

  /**
   * @param {object} engine as /voice/status tells it: title, stage, why, about, language, next_step; with instead_of
   *   and instead_of_title where it takes a failed engine's place
   * @param {boolean} speaking it is talking now
   */
  show(engine, speaking) {
    this.element.dataset.stage = engine.stage ?? "ready";
    const { title, why, about, language, next_step, instead_of } = engine;
    // what is folded out stays so for as long as nothing changes
    const key = JSON.stringify([title, why, next_step, about, language, instead_of, speaking]);
    if (this.shown === key) return;
    this.shown = key;
    this.line.replaceChildren(
      h("span", {}, speaking ? "Speaking now: " : "Will speak: ", h("b", {}, title)),
      h("span", { class: "engine-why" }, why ?? ""),
      language ? h("span", { class: "engine-why" }, languageText(language)) : "",
      fold("How it runs here", about),
      instead_of ? "" : fold("A better one?", next_step),
    );
    show(this.fallback, Boolean(instead_of));
    if (instead_of) this.explain(engine);
  }

  explain({ instead_of_title, next_step, title }) {
    this.fallback.replaceChildren(
      h("b", {}, `${instead_of_title} is not speaking. `),
      ...linked(next_step),
      ` Until then ${title} takes its place.`,
    );
  }
}

function fold(title, text) {
  if (!text) return "";
  return h("details", { class: "better" }, h("summary", {}, title), h("span", {}, linked(text)));
}
