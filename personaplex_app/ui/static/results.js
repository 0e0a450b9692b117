// What the votes say: scores with intervals, who beat whom, side bias, checks; and which voice was which in one's own round.

import * as api from "./compare-api.js";
import { h } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const ROW_PX = 34;
const CHOICE = { tie: "just as good", both_bad: "both bad" };
const CHECKS = {
  repeat: ["You judged the pair that came twice differently.", "You judged the pair that came twice alike."],
  identical: ["You preferred one of two identical clips.", "You judged two identical clips equal."],
};

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export class Results {
  /** `on` has: back(), again(testId), tell(text). */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.title = (kind, name) => name;
    this.voice = (name) => this.title("voice", name);
  }

  async open(id) {
    this.id = id;
    const [found, mine] = await Promise.all([api.results(id), api.test(id)]);
    const votes = `${found.votes} ${found.votes === 1 ? "vote" : "votes"} of ${found.listeners} ${found.listeners === 1 ? "listener" : "listeners"}`;
    const early = found.preliminary ? h("p", { class: "notice" }, `Preliminary: a voice needs ${found.min_votes} votes before its place means much${found.listeners < 2 ? ", and intervals need a second listener" : ""}.`) : null;
    this.element.replaceChildren(
      h("h1", {}, "What the votes say"),
      h("p", { class: "hint compare-lead" }, `${votes}, ${found.engine} engine. Scores are Bradley–Terry on Elo's scale, 1500 in the middle; bars are 95 % intervals over listeners.`),
      ...[early].filter(Boolean),
      h("div", { class: "results-plot" }, plot(found, this.voice)),
      h("div", { class: "results-scroll" }, table(found, this.voice)),
      h("h2", {}, "Who was preferred to whom"),
      h("p", { class: "hint" }, "Votes for the voice of the row against that of the column; a tie is half a vote for each."),
      h("div", { class: "results-scroll" }, matrix(found, this.voice)),
      h("h2", {}, "How far to trust it"),
      trust(found),
      ...(mine.reveal ? [h("h2", {}, "Your round"), h("div", { class: "results-scroll" }, round(mine.reveal, this.voice)), ...checks(mine.reveal)] : []),
      this.actions(),
    );
  }

  actions() {
    const download = (kind, what) => h("button", { type: "button", class: "button button-small", dataset: { export: kind }, title: what, onclick: () => this.download(kind) }, kind);
    const again = h("button", { type: "button", class: "button", dataset: { act: "again" }, onclick: () => this.again() }, "Another round");
    const link = h("button", { type: "button", class: "button", onclick: (event) => this.share(event.currentTarget) }, "Copy a link for other listeners");
    return h("div", { class: "compare-actions results-actions" }, again, link, h("button", { type: "button", class: "button", onclick: () => this.on.back() }, "Back to the answers"), h("span", { class: "downloads", role: "group", "aria-label": "Downloads" }, download("csv", "The votes, a row each"), download("jsonl", "Everything that was written down")));
  }

  async trying(work) {
    try {
      await work();
    } catch (error) {
      this.on.tell(error.message);
    }
  }

  again() {
    return this.trying(async () => {
      await api.begin(this.id, 12);
      await this.on.again(this.id);
    });
  }

  share(button) {
    return this.trying(async () => {
      const url = new URL(window.location.href);
      url.searchParams.set("compare", this.id);
      await navigator.clipboard.writeText(url.href);
      button.textContent = "Copied";
    });
  }

  download(kind) {
    return this.trying(async () => {
      const url = URL.createObjectURL(await api.exported(this.id, kind));
      h("a", { href: url, download: `votes-${this.id.slice(0, 8)}.${kind}` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    });
  }
}

/** A dot and its interval for each voice, best first, on one scale. */
function plot({ standings }, title) {
  const ends = standings.flatMap(({ score, interval }) => [score, ...(interval ?? [])]);
  const [low, high] = [Math.floor((Math.min(1450, ...ends) - 10) / 50) * 50, Math.ceil((Math.max(1550, ...ends) + 10) / 50) * 50];
  const height = standings.length * ROW_PX + 30;
  const x = (score) => `${24 + (72 * (score - low)) / (high - low)}%`;
  const step = [50, 100, 200, 500].find((each) => (high - low) / each <= 6) ?? 1000;
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push(at);
  const axis = ticks.flatMap((at) => [
    svg("line", { x1: x(at), x2: x(at), y1: 4, y2: height - 24, class: at === 1500 ? "plot-middle" : "plot-rule" }),
    svg("text", { x: x(at), y: height - 6, "text-anchor": "middle", class: "plot-tick" }, String(at)),
  ]);
  const rows = standings.flatMap(({ voice, score, interval, preliminary }, k) => {
    const y = k * ROW_PX + ROW_PX / 2 + 4;
    const bar = interval ? [svg("line", { x1: x(interval[0]), x2: x(interval[1]), y1: y, y2: y, class: "plot-interval" })] : [];
    return [svg("text", { x: "0", y: y + 5, class: "plot-name" }, title(voice)), ...bar, svg("circle", { cx: x(score), cy: y, r: 6, class: preliminary ? "plot-dot is-preliminary" : "plot-dot" })];
  });
  const summary = standings.map(({ voice, score }) => `${title(voice)} ${Math.round(score)}`).join(", ");
  return svg("svg", { width: "100%", height, role: "img", "aria-label": `Scores: ${summary}.` }, ...axis, ...rows);
}

function table({ standings, reasons }, title) {
  const head = ["Place", "Voice", "Score", "95 %", "Votes", "Won", "Lost", "Tied", "Liked for"];
  const rows = standings.map((each) => {
    const liked = Object.entries(reasons[each.voice]).filter(([, n]) => n).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([reason, n]) => `${reason} ${n}`).join(", ");
    const interval = each.interval ? `${Math.round(each.interval[0])} – ${Math.round(each.interval[1])}` : "–";
    const place = each.votes ? `${each.rank}${each.preliminary ? " (preliminary)" : ""}` : "–";
    return [place, title(each.voice), Math.round(each.score), interval, each.votes, each.wins, each.losses, each.ties, liked || "–"];
  });
  return grid(head, rows, "Ranking of the voices", 1);
}

function matrix({ standings, wins }, title) {
  const voices = standings.map(({ voice }) => voice);
  const count = (a, b) => (a === b ? "" : wins[a][b] + wins[b][a] ? `${wins[a][b]} of ${wins[a][b] + wins[b][a]}` : "–");
  const shade = (a, b) => (a === b || !(wins[a][b] + wins[b][a]) ? null : wins[a][b] / (wins[a][b] + wins[b][a]));
  const made = grid(["", ...voices.map(title)], voices.map((a) => [title(a), ...voices.map((b) => count(a, b))]), "Votes of each voice against each other", 0);
  made.querySelectorAll("tbody tr").forEach((row, i) => {
    [...row.cells].slice(1).forEach((cell, j) => {
      const share = shade(voices[i], voices[j]);
      if (share !== null) cell.style.setProperty("--share", `${Math.round(share * 100)}%`);
      cell.className = share === null ? "" : "matrix-cell";
    });
  });
  return made;
}

function grid(head, rows, caption, named) {
  const cell = (value, column) => (column === named ? h("th", { scope: "row" }, String(value)) : h("td", {}, String(value)));
  return h("table", { class: "results-table" }, h("caption", { class: "sr-only" }, caption), h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell)))));
}

function trust({ side_bias, checks }) {
  const { left, right, p_value } = side_bias;
  const share = ({ asked, passed }) => (asked ? `${passed} of ${asked}` : "none yet");
  const bias = left + right ? `A won ${left} times, B ${right}; ${p_value < 0.05 ? "so uneven a split is improbable by chance: the side itself seems to count" : "that may well be chance"} (exact binomial test, p = ${p_value < 0.001 ? "under 0.001" : p_value.toFixed(2)}).` : "No side has won yet.";
  return h("dl", { class: "compare-trust" }, [["Sides", bias], ["Hidden repeats judged alike", share(checks.repeat)], ["Identical pairs judged equal", share(checks.identical)]].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function round({ trials }, title) {
  const about = (trial) => (trial.check === "repeat" ? `check: pair ${trial.of + 1} again` : trial.check === "identical" ? "check: the same twice" : "");
  return grid(["Pair", "Input", "A", "B", "You preferred", ""], trials.map((each, k) => [k + 1, each.title, title(each.left), title(each.right), each.preferred ? title(each.preferred) : CHOICE[each.choice], about(each)]), "Your votes with the voices' names", 0);
}

function checks({ checks: passed }) {
  const said = Object.entries(CHECKS).filter(([name]) => name in passed).map(([name, texts]) => texts[Number(passed[name])]);
  return said.length ? [h("p", { class: "hint" }, `Your checks. ${said.join(" ")}`)] : [];
}
