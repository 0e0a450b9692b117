// What the votes say: scores with intervals, who beat whom, side bias, checks; and which voice was which in one's own
// round.

import { button, h, saveAs } from "../shared/dom.js";
import * as api from "./compare-api.js";
import { scorePlot } from "./score-plot.js";
import { SETTINGS } from "./settings.js";

const REFRESH_MS = 5000;
const CHOICE = { tie: "just as good", both_bad: "both bad" };
/** What is compared, as a heading. */
const NAMED = { voice: "Voice", persona: "Persona" };
const CHECKS = {
  repeat: ["you judged a pair that came twice differently", "you judged alike what came twice"],
  identical: ["you preferred one of two identical clips", "you judged identical clips equal"],
};

const HIDDEN_CHECKS =
  "Some pairs were hidden checks: they came again with their sides exchanged, or were the same clip on both sides. " +
  "They show how far votes can be trusted, and do not count in the ranking.";
const hint = (text) => h("p", { class: "hint" }, text);
const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

export class Results {
  /**
   * @param {HTMLElement} element
   * @param {object} on
   * @param {() => void} on.back
   * @param {(testId: string) => Promise<void>} on.again another round has begun
   * @param {(text: string) => void} on.tell
   */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.title = (kind, name) => name;
    this.voice = (name) => this.title(this.by, name);
  }

  /** Show what the votes say, and keep it as it is for as long as it is looked at. */
  async open(id) {
    this.id = id;
    await this.refresh();
    this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      if (this.element.hidden) return;
      // what cannot be asked now is asked the next time
      if (this.element.offsetParent && !document.hidden) await this.refresh().catch(() => {});
      this.wait();
    }, REFRESH_MS);
  }

  async refresh() {
    const { id } = this;
    const [found, mine] = await Promise.all([api.results(id), api.test(id)]);
    const known = JSON.stringify([found, mine]);
    if (id !== this.id || (known === this.known && this.element.childElementCount)) return;
    Object.assign(this, { known, by: found.by });
    const scored = found.standings.some((each) => each.rounded);
    // what is wider than the screen is reached by keys too
    const scroll = (child) => {
      const label = child.caption.textContent;
      return h("div", { class: "results-scroll", role: "region", tabindex: "0", "aria-label": label }, child);
    };
    this.element.replaceChildren(
      h("h1", {}, "What the votes say"),
      lead(found),
      ...preliminary(found, scored),
      ...(scored
        ? [
            h(
              "div",
              { class: "results-plot" },
              scorePlot(found.standings, ({ voice }) => this.voice(voice)),
            ),
          ]
        : []),
      scroll(table(found, this.voice)),
      h("h2", {}, "Who was preferred to whom"),
      hint("Votes for that of the row against that of the column; a tie is half a vote for each."),
      scroll(matrix(found, this.voice)),
      h("h2", {}, "How far to trust it"),
      trust(found),
      ...(mine.reveal ? [h("h2", {}, "Your round"), scroll(round(mine.reveal, this.voice))] : []),
      ...(mine.reveal ? checksPassed(mine.reveal) : []),
      this.actions(),
    );
  }

  actions() {
    const download = (kind, what) => {
      const onclick = () => this.download(kind);
      return button(kind, { dataset: { export: kind }, title: what, onclick }, "small");
    };
    return h(
      "div",
      { class: "compare-actions results-actions" },
      button("Another round", { dataset: { act: "again" }, onclick: () => this.again() }),
      button("Copy a link for other listeners", { onclick: (event) => this.share(event.currentTarget) }),
      button("Back to the answers", { onclick: () => this.on.back() }),
      h(
        "span",
        { class: "downloads", role: "group", "aria-label": "Downloads" },
        download("csv", "The votes, a row each"),
        download("jsonl", "Everything that was written down"),
      ),
    );
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
      await api.begin(this.id);
      await this.on.again(this.id);
    });
  }

  share(pressed) {
    return this.trying(async () => {
      const url = new URL(window.location.href);
      url.searchParams.set("compare", this.id);
      await navigator.clipboard.writeText(url.href);
      pressed.textContent = "Copied";
    });
  }

  download(kind) {
    return this.trying(async () => {
      saveAs(await api.exported(this.id, kind), `votes-${this.id.slice(0, 8)}.${kind}`);
    });
  }
}

/** How many votes of whom, and what the scores are. */
function lead({ votes, listeners, engine }) {
  const text =
    `${count(votes, "vote")} of ${count(listeners, "listener")}, hidden checks apart, ${engine} engine. ` +
    "1500 is the middle, and more is better; the margin holds in 95 of 100 such tests. " +
    "(Bradley–Terry scores on Elo's scale, given to the digit that so few votes allow.)";
  return h("p", { class: "hint compare-lead" }, text);
}

/** What is missing before the results mean much. */
function preliminary({ preliminary: early, min_votes, board_votes, listeners }, scored) {
  if (!early) return [];
  const second = listeners < 2 ? ", of more than one listener" : "";
  const none = scored ? "" : ` Scores are shown from ${board_votes} votes on.`;
  const text = `Preliminary: each needs ${min_votes} votes before its place means much${second}.${none}`;
  return [h("p", { class: "notice" }, text)];
}

/** The ranking; `title` names a voice. */
function table({ standings, reasons, by }, title) {
  const head = ["Place", NAMED[by] ?? SETTINGS[by], "Score", "Votes", "Won", "Lost", "Tied", "Preferred for"];
  const rows = standings.map((each) => {
    const { voice, rank, rounded, votes, wins, losses, ties } = each;
    // where all are, the notice above says so
    const early = each.preliminary && !standings.every((one) => one.preliminary) ? " (preliminary)" : "";
    const place = votes ? `${rank}${early}` : "–";
    const score = rounded ? `${rounded.score}\u00a0±\u00a0${rounded.margin}` : "–";
    const liked = likedFor(reasons[voice]);
    return [place, title(voice), score, votes, wins, losses, ties, liked];
  });
  return grid(head, rows, "Ranking", 1);
}

/** The three reasons that were given most; `given` has how often by reason. */
function likedFor(given) {
  const most = Object.entries(given)
    .filter(([, n]) => n)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 3);
  return most.map(([reason, n]) => `${reason} ${n}`).join(", ") || "–";
}

/** Who was preferred to whom: a row and a column for each voice. */
function matrix({ standings, wins }, title) {
  const voices = standings.map(({ voice }) => voice);
  const votes = (a, b) => (a === b ? null : wins[a][b] + wins[b][a]);
  const text = (a, b) => {
    if (a === b) return "";
    return votes(a, b) ? `${wins[a][b]} of ${votes(a, b)}` : "–";
  };
  const head = ["", ...voices.map(title)];
  const rows = voices.map((a) => [title(a), ...voices.map((b) => text(a, b))]);
  const made = grid(head, rows, "Votes of each against each other", 0);
  made.querySelectorAll("tbody tr").forEach((row, i) => {
    [...row.cells].slice(1).forEach((cell, j) => {
      const [a, b] = [voices[i], voices[j]];
      if (!votes(a, b)) return;
      cell.style.setProperty("--share", `${Math.round((100 * wins[a][b]) / votes(a, b))}%`);
      cell.className = "matrix-cell";
    });
  });
  return made;
}

/** A table; `named` is the column whose cells name their row. */
function grid(head, rows, caption, named) {
  const headCell = (text) => (text ? h("th", { scope: "col" }, text) : h("td"));
  const cell = (value, column) =>
    column === named ? h("th", { scope: "row" }, String(value)) : h("td", {}, String(value));
  const body = rows.map((row) => h("tr", {}, row.map(cell)));
  return h(
    "table",
    { class: "results-table" },
    h("caption", { class: "sr-only" }, caption),
    h("thead", {}, h("tr", {}, head.map(headCell))),
    h("tbody", {}, body),
  );
}

/** Whether one side was preferred for being that side, and whether listeners judged alike twice. */
function trust({ side_bias, checks }) {
  const share = ({ asked, passed }) => (asked ? `${passed} of ${asked}` : "none yet");
  const told = [
    ["Sides", sideBias(side_bias)],
    ["Hidden repeats judged alike", share(checks.repeat)],
    ["Identical pairs judged equal", share(checks.identical)],
  ];
  const entry = ([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  return h("dl", { class: "compare-trust" }, told.map(entry));
}

function sideBias({ left, right, p_value }) {
  if (!(left + right)) return "No side has won yet.";
  const uneven = "so uneven a split is improbable by chance: the side itself seems to count";
  const meaning = p_value < 0.05 ? uneven : "that may well be chance";
  const p = p_value < 0.001 ? "under 0.001" : p_value.toFixed(2);
  return `A won ${left} times, B ${right}; ${meaning} (exact binomial test, p = ${p}).`;
}

/** One's own votes, with the voices' names. */
function round({ trials }, title) {
  const checked = ({ check, of }) => {
    if (check === "repeat") return `pair ${of + 1} again`;
    return check === "identical" ? "the same twice" : "";
  };
  const rows = trials.map((each, k) => {
    const preferred = each.preferred ? title(each.preferred) : CHOICE[each.choice];
    return [k + 1, each.title, title(each.left), title(each.right), preferred, checked(each)];
  });
  const head = ["Pair", "What was said", "A", "B", "You preferred", "Hidden check"];
  // of one question alone there is nothing to tell apart
  const several = new Set(trials.map(({ title: said }) => said)).size > 1;
  const shown = (row) => row.filter((_, column) => several || column !== 1);
  return grid(shown(head), rows.map(shown), "Your votes with the names", 0);
}

function checksPassed({ checks }) {
  const asked = Object.entries(CHECKS).filter(([name]) => name in checks);
  const told = asked.map(([name, texts]) => texts[Number(checks[name])]);
  return [hint(HIDDEN_CHECKS), ...(told.length ? [hint(`In your round ${told.join(", and ")}.`)] : [])];
}
