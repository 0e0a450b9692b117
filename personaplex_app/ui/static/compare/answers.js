// The answers of a comparison: how far they are, and a grid with a lane, a player and the measures of each.

import { ClipPlayer } from "../shared/clip-player.js";
import { about, button, h, ms, say, show } from "../shared/dom.js";
import { HOST } from "../shared/host.js";
import * as api from "./compare-api.js";

const POLL_MS = 700;
const WORDS = {
  preparing: "Preparing what you say…",
  rendering: "Rendering",
  done: "All answers are rendered.",
  cancelled: "Stopped. What was rendered stays.",
  failed: "It could not be rendered.",
};
const isGoing = (run) => ["preparing", "rendering"].includes(run.status);
const hint = (text) => h("p", { class: "hint" }, text);

export class Answers {
  /**
   * @param {HTMLElement} element
   * @param {object} on
   * @param {() => void} on.back
   * @param {(asked: object) => void} on.again ask anew, for this or something else
   * @param {(testId: string) => Promise<void>} on.blind a blind test has begun
   * @param {(text: string) => void} on.tell
   * @param {(token: string) => void} on.lease a GPU must be asked for with this token
   */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.id = null;
    this.cells = new Map(); // by "row/column"
    this.title = (kind, name) => name;
    this.beside = null; // an engine that needs no GPU: name, voices
  }

  /** Show a run; `asked` is what it was asked with. */
  async open(id, asked) {
    const run = await api.run(id);
    this.close();
    Object.assign(this, { id, asked, run });
    this.build();
    this.update(run);
    this.poll();
  }

  close() {
    clearTimeout(this.timer);
    this.watcher?.disconnect();
    for (const cell of this.cells.values()) cell.clip?.destroy();
    this.cells.clear();
    this.built = false;
  }

  hush() {
    for (const cell of this.cells.values()) cell.clip?.player.pause();
  }

  poll() {
    clearTimeout(this.timer);
    if (!isGoing(this.run)) return;
    const id = this.id;
    this.timer = setTimeout(async () => {
      try {
        const run = await api.run(id);
        if (id === this.id) this.update(run);
      } catch (error) {
        this.on.tell(error.message);
      }
      if (id === this.id) this.poll();
    }, POLL_MS);
  }

  // what is there from the beginning

  build() {
    this.grid = h("div", { class: "compare-grid-rows" });
    this.element.replaceChildren(
      h("h1", {}, "Side by side"),
      this.buildProgress(),
      this.buildBlind(),
      this.buildChannels(),
      this.grid,
    );
  }

  buildProgress() {
    this.text = h("p", { class: "status", role: "status" });
    this.bar = h("progress", { max: "1", "aria-label": "Rendered so far" });
    const act = (name, text, onclick) => button(text, { dataset: { act: name }, onclick });
    this.cancelButton = act("cancel", "Cancel", () => this.cancel());
    this.resumeButton = act("resume", "Go on", () => this.on.again(this.asked));
    const otherwise = "Compare the small stand-in's voices instead";
    this.besideButton = act("beside", otherwise, () => this.askBeside());
    const actions = h(
      "div",
      { class: "compare-actions" },
      this.cancelButton,
      this.resumeButton,
      this.besideButton,
      button("Change the choice", { onclick: () => this.on.back() }),
    );
    return h("div", { class: "compare-progress" }, this.text, this.bar, actions);
  }

  /** The way to the blind test. */
  buildBlind() {
    const begin = { id: "blind-begin", onclick: () => this.beginBlind() };
    this.blindButton = button("Begin the blind test", begin, "primary");
    const explained =
      "Pairs of answers without names, at equal loudness, for as long as you like. " +
      `Your votes are stored on ${HOST}, under a number that is not your name, and counted into the ranking.`;
    this.blindBox = h(
      "div",
      { class: "compare-to-blind" },
      h("div", {}, h("h2", {}, "Which do you prefer, not knowing who?"), hint(explained)),
      h("div", { class: "compare-go" }, this.blindButton),
    );
    return this.blindBox;
  }

  buildChannels() {
    this.channels = h(
      "select",
      {
        class: "compare-select",
        id: "compare-channels",
        "aria-label": "What the players play",
        onchange: () => this.rechannel(),
      },
      h("option", { value: "both" }, "you left, the agent right"),
      h("option", { value: "agent" }, "the agent alone"),
    );
    const label = h("label", { for: "compare-channels" }, "Players: ");
    this.hearing = h("p", { class: "compare-hearing", hidden: true }, label, this.channels);
    return this.hearing;
  }

  // what comes

  update(run) {
    this.run = run;
    if (run.lease && run.lease !== this.lease) this.on.lease(run.lease);
    this.lease = run.lease;
    say(this.text, progressText(run));
    const going = isGoing(run);
    show(this.bar, going);
    if (run.progress) this.bar.value = run.progress.share;
    else this.bar.removeAttribute("value");
    show(this.cancelButton, going);
    show(this.resumeButton, ["cancelled", "failed"].includes(run.status));
    // without a GPU lent, an engine that needs none
    show(this.besideButton, run.status === "failed" && Boolean(this.beside) && !this.asked.engine);
    const complete = run.cells.some((row) => row.every((cell) => cell.ready));
    show(this.blindBox, complete && !going && run.names.length > 1);
    if (run.conditions.length && !this.built) this.buildGrid(run);
    if (this.built) this.fill(run);
  }

  buildGrid(run) {
    this.built = true;
    // an answer's lane is read when it comes into view
    const seen = (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) this.read(target.dataset.cell);
    };
    this.watcher = new IntersectionObserver(seen, { rootMargin: "200px" });
    const severalSeeds = new Set(run.conditions.map(({ seed }) => seed)).size > 1;
    const rows = run.conditions.map((condition, row) => {
      const seed = severalSeeds ? ` · seed ${condition.seed}` : "";
      const cells = run.names.map((name, column) => this.buildCell(row, column, name));
      return h(
        "section",
        { class: "compare-row" },
        h("h2", {}, condition.title),
        hint(`${condition.persona ? `as ${this.title("persona", condition.persona)}` : ""}${seed}`),
        h("div", { class: "compare-grid" }, cells),
      );
    });
    this.grid.replaceChildren(...rows);
    show(this.hearing, true);
  }

  buildCell(row, column, voice) {
    const key = `${row}/${column}`;
    const body = h("div", { class: "compare-cell-body" }, hint("Not rendered yet."));
    const attributes = { class: "compare-cell", dataset: { cell: key, voice } };
    const element = h("article", attributes, h("h3", {}, this.title(this.run.by, voice)), body);
    this.cells.set(key, { row, column, voice, element, body, state: "" });
    return element;
  }

  fill(run) {
    for (const cell of this.cells.values()) {
      const { ready, error } = run.cells[cell.row][cell.column];
      let state = ready ? "ready" : "";
      if (error) state = "error";
      if (state === cell.state) continue;
      cell.state = state;
      cell.element.dataset.state = state;
      if (error) cell.body.replaceChildren(hint(error));
      if (ready) {
        cell.body.replaceChildren(hint("Reading…"));
        this.watcher.observe(cell.element);
      }
    }
  }

  async read(key) {
    const cell = this.cells.get(key);
    if (!cell || cell.clip || cell.reading) return;
    cell.reading = true;
    this.watcher.unobserve(cell.element);
    const id = this.id;
    try {
      const found = await api.cell(id, cell.row, cell.column);
      if (id !== this.id) return;
      cell.clip = new ClipPlayer(() => api.cellSound(id, cell.row, cell.column, this.channels.value), {
        name: `the answer of ${this.title(this.run.by, cell.voice)}`,
      });
      const words = found.text
        ? h("p", { class: "compare-said", tabindex: "0" }, found.text)
        : hint("No words are known of it.");
      cell.body.replaceChildren(cell.clip.element, facts(found), words);
      cell.clip.set(found.lane);
    } catch (error) {
      cell.body.replaceChildren(hint(error.message));
    }
    cell.reading = false;
  }

  /** The players' sound is another from now on. */
  rechannel() {
    for (const { clip } of this.cells.values()) clip?.player.silence();
  }

  // what the user does

  askBeside() {
    const voices = this.beside.voices.map(({ name }) => name);
    this.on.again({ ...this.asked, engine: this.beside.name, voices, by: "voice" });
  }

  async cancel() {
    try {
      await api.cancel(this.id);
      this.update(await api.run(this.id));
    } catch (error) {
      this.on.tell(error.message);
    }
  }

  async beginBlind() {
    this.blindButton.disabled = true;
    say(this.text, "Getting the pairs ready…");
    try {
      const { id } = await api.makeTest(this.id);
      await this.on.blind(id);
    } catch (error) {
      this.on.tell(error.message);
    } finally {
      this.blindButton.disabled = false;
      say(this.text, progressText(this.run));
    }
  }
}

/** How far a run is, as a sentence. */
function progressText({ status, problem, lease, progress }) {
  let text = problem || WORDS[status];
  if (lease && status === "preparing") text = "Waiting for a GPU…";
  if (status === "rendering" && progress) {
    text = `Rendering: ${progress.done} of ${progress.total} answers${timeLeft(progress)}.`;
  }
  return progress?.failed ? `${text} ${progress.failed} could not be rendered.` : text;
}

function timeLeft({ ahead, left_s }) {
  if (ahead !== null) return ", waiting until talks leave room";
  return left_s === null ? "" : `, ${about(left_s)} left`;
}

/** The measures of an answer. */
function facts({ turn_latency_s, turns, words, rtf }) {
  const latency = turn_latency_s === null ? "–" : ms(turn_latency_s * 1000);
  const computing = rtf === null ? "–" : `${rtf.toFixed(2)} ×`;
  const told = [
    ["Pause before its answer", latency, `From your last speech to the agent's first: median of ${turns}`],
    ["Words", String(words), "What the agent said"],
    ["Computing", computing, "Time to compute a second of sound"],
  ];
  const entry = ([name, value, title]) => h("div", { title }, h("dt", {}, name), h("dd", {}, value));
  return h("dl", { class: "compare-facts" }, told.map(entry));
}
