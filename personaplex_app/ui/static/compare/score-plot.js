// A drawing of the voices' scores.

const SVG = "http://www.w3.org/2000/svg";
const ROW_PX = 34;
const AXIS_PX = 30;
const MIDDLE_SCORE = 1500;
// names of voices stand left of the scale
const SCALE_FROM_PERCENT = 24;
const SCALE_PERCENT = 72;

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * A dot and its margin for each of those compared, best first, on one scale; none that has no score yet.
 *
 * @param {{rounded: {score: number, margin: number}|null, preliminary: boolean}[]} all
 * @param {(standing: object) => string} title
 */
export function scorePlot(all, title) {
  const standings = all.filter(({ rounded }) => rounded);
  const ends = standings.flatMap(({ rounded: { score, margin } }) => [score - margin, score + margin]);
  const low = Math.floor((Math.min(MIDDLE_SCORE - 50, ...ends) - 10) / 50) * 50;
  const high = Math.ceil((Math.max(MIDDLE_SCORE + 50, ...ends) + 10) / 50) * 50;
  const height = standings.length * ROW_PX + AXIS_PX;
  const x = (score) => `${SCALE_FROM_PERCENT + (SCALE_PERCENT * (score - low)) / (high - low)}%`;
  const axis = ticks(low, high).flatMap((score) => tick(score, x(score), height));
  const rows = standings.flatMap((each, k) => row(each, k * ROW_PX + ROW_PX / 2 + 4, x, title));
  const summary = standings
    .map((each) => `${title(each)} ${each.rounded.score} ± ${each.rounded.margin}`)
    .join(", ");
  const attributes = { width: "100%", height, role: "img", "aria-label": `Scores: ${summary}.` };
  return svg("svg", attributes, ...axis, ...rows);
}

/** The scores that are named on the axis. */
function ticks(low, high) {
  const step = [50, 100, 200, 500].find((each) => (high - low) / each <= 6) ?? 1000;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
  return found;
}

function tick(score, x, height) {
  const rule = score === MIDDLE_SCORE ? "plot-middle" : "plot-rule";
  const text = { x, y: height - 6, "text-anchor": "middle", class: "plot-tick" };
  return [
    svg("line", { x1: x, x2: x, y1: 4, y2: height - 24, class: rule }),
    svg("text", text, String(score)),
  ];
}

function row(standing, y, x, title) {
  const { score, margin } = standing.rounded;
  const { preliminary } = standing;
  const name = svg("text", { x: "0", y: y + 5, class: "plot-name" }, title(standing));
  const look = preliminary ? "plot-dot is-preliminary" : "plot-dot";
  const dot = svg("circle", { cx: x(score), cy: y, r: 6, class: look });
  const [from, to] = [score - margin, score + margin].map(x);
  return [name, svg("line", { x1: from, x2: to, y1: y, y2: y, class: "plot-interval" }), dot];
}
