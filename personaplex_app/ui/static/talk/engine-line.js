// What names the engine at all times: in the brand's place whether PersonaPlex speaks at all, and a line with which one
// does. What only its owner can change is folded away, and says whose it is.

import { h, linked, part, show } from "../shared/dom.js";
import { languageOf, t, told } from "../shared/strings.js";
import { languageText } from "../shared/texts.js";

export class EngineLine {
  constructor(root) {
    this.element = root.querySelector("#talk-engine");
    this.line = part(root, "engine-text");
    this.fallback = part(root, "fallback");
    this.shown = "";
  }

  /**
   * @param {object} engine as /voice/status tells it: title, stage, stand_in, why, about, language, next_step; with
   *   instead_of and instead_of_title where it takes a failed engine's place
   * @param {boolean} speaking it is talking now
   */
  show(engine, speaking) {
    this.element.dataset.stage = engine.stage ?? "ready";
    const { title, stand_in, why, about, language, next_step, instead_of } = engine;
    // what is folded out stays so for as long as nothing changes
    const key = JSON.stringify([title, stand_in, why, next_step, about, language, instead_of, speaking]);
    if (this.shown === key) return;
    this.shown = key;
    this.brand(told(stand_in));
    this.line.replaceChildren(
      h("span", {}, t(speaking ? "speaking_now" : "will_speak"), " ", h("b", {}, told(title))),
      // a visitor has read why above; the owner's words for it name flags
      stand_in ? "" : h("span", { class: "engine-why", lang: "en" }, why ?? ""),
      language ? h("span", { class: "engine-why" }, languageText(language)) : "",
      fold(t("how_here"), about),
      instead_of ? "" : fold(t("owner"), next_step),
    );
    show(this.fallback, Boolean(instead_of));
    if (instead_of) this.explain(engine);
  }

  /** Say in the brand's place, above all tabs, that another than PersonaPlex speaks; "" where it does. */
  brand(standIn) {
    const line = part(document, "brand-line");
    line.dataset.claim ??= line.textContent;
    line.textContent = standIn || line.dataset.claim;
    line.classList.toggle("stand-in", Boolean(standIn));
  }

  explain({ instead_of_title, next_step }) {
    this.fallback.replaceChildren(
      h("b", {}, t("has_failed", { engine: told(instead_of_title) })),
      ` ${t("until_mended")} `,
      fold(t("owner"), next_step),
    );
  }
}

function fold(title, text) {
  if (!text) return "";
  const shown = h("span", { lang: languageOf(text) }, linked(told(text)));
  return h("details", { class: "better" }, h("summary", {}, title), shown);
}
