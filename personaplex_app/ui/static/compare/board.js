// The board of a blind test while one still votes: how far the votes part those compared, without their names.

import { h } from "../shared/dom.js";
import { scorePlot } from "./score-plot.js";

/**
 * The board, or nothing while there are too few votes.
 *
 * @param {object} found what `compare-api.board` gives
 */
export function board({ votes, listeners, standings }) {
  if (!standings.some((each) => each.rounded)) return [];
  const whose = listeners === 1 ? "one listener" : `${listeners} listeners`;
  const early = standings.some((each) => each.preliminary) ? " Still preliminary." : "";
  const text = `${votes} votes of ${whose}. The names come when you stop, so that you go on blind.${early}`;
  return [
    h("h2", {}, "The board so far"),
    h("p", { class: "hint" }, text),
    h(
      "div",
      { class: "results-plot" },
      scorePlot(standings, ({ rank }) => `Place ${rank}`),
    ),
  ];
}
