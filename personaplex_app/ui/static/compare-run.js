// The answers of a comparison: how far they are, and a grid with a lane, a player and the measures of each.

import * as api from "./compare-api.js";
import { Clip } from "./clip.js";
import { about, h, ms, say, show } from "./dom.js";

const POLL_MS = 700;
const TRIALS = [6, 12, 20, 40];
const WORDS = { preparing: "Preparing what you say…", rendering: "Rendering", done: "All answers are rendered.", cancelled: "Stopped. What was rendered stays.", failed: "It could not be rendered." };

export class RunView {
  /** `on` has: back(), again(asked), blind(testId), tell(text), lease(token). */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.id = null;
    this.clips = new Map();
    this.title = (kind, name) => name;
  }

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
    for (const cell of this.clips.values()) cell.clip?.destroy();
    this.clips.clear();
    this.built = false;
  }

  hush() {
    for (const cell of this.clips.values()) cell.clip?.pause();
  }

  poll() {
    clearTimeout(this.timer);
    if (!["preparing", "rendering"].includes(this.run.status)) return;
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

  build() {
    this.text = h("p", { class: "status", role: "status" });
    this.bar = h("progress", { max: "1", "aria-label": "Rendered so far" });
    this.cancelButton = h("button", { type: "button", class: "button", dataset: { act: "cancel" }, onclick: () => this.cancel() }, "Cancel");
    this.resumeButton = h("button", { type: "button", class: "button", dataset: { act: "resume" }, onclick: () => this.on.again(this.asked) }, "Go on");
    this.besideButton = h("button", { type: "button", class: "button", dataset: { act: "beside" }, onclick: () => this.on.again({ ...this.asked, engine: this.beside.name, voices: this.beside.voices.map(({ name }) => name) }) }, "Compare the embedded engine's voices instead");
    this.trials = h("select", { class: "compare-select", id: "blind-trials" }, TRIALS.map((n) => h("option", { value: String(n), selected: n === 12 }, `${n} pairs`)));
    this.blindButton = h("button", { type: "button", class: "button button-primary", id: "blind-begin", onclick: () => this.beginBlind() }, "Begin the blind test");
    this.blindBox = h("div", { class: "compare-to-blind" }, h("div", {}, h("h2", {}, "Which do you prefer, not knowing who?"), h("p", { class: "hint" }, "Pairs of answers without names, at equal loudness. Your votes are stored on the computer that runs this page, under a number that is not your name, and counted into the ranking.")), h("div", { class: "compare-go" }, h("label", { class: "sr-only", for: "blind-trials" }, "How many pairs"), this.trials, this.blindButton));
    this.channels = h("select", { class: "compare-select", id: "compare-channels", "aria-label": "What the players play", onchange: () => this.rechannel() }, h("option", { value: "both" }, "you left, the agent right"), h("option", { value: "agent" }, "the agent alone"));
    this.grid = h("div", { class: "compare-grid-rows" });
    const change = h("button", { type: "button", class: "button", onclick: () => this.on.back() }, "Change the choice");
    this.element.replaceChildren(
      h("h1", {}, "Side by side"),
      h("div", { class: "compare-progress" }, this.text, this.bar, h("div", { class: "compare-actions" }, this.cancelButton, this.resumeButton, this.besideButton, change)),
      this.blindBox,
      h("p", { class: "compare-hearing" }, h("label", { for: "compare-channels" }, "Players: "), this.channels),
      this.grid,
    );
  }

  update(run) {
    this.run = run;
    if (run.lease && run.lease !== this.lease) this.on.lease(run.lease);
    this.lease = run.lease;
    const going = ["preparing", "rendering"].includes(run.status);
    const { progress } = run;
    let text = run.problem || WORDS[run.status];
    if (run.lease && run.status === "preparing") text = "Waiting for a GPU…";
    if (run.status === "rendering" && progress) {
      const left = progress.ahead !== null ? "waiting until talks leave room" : progress.left_s === null ? "" : `${about(progress.left_s)} left`;
      text = `Rendering: ${progress.done} of ${progress.total} answers${left ? `, ${left}` : ""}.`;
    }
    if (progress?.failed) text += ` ${progress.failed} could not be rendered.`;
    say(this.text, text);
    show(this.bar, going);
    if (progress) this.bar.value = progress.share;
    else this.bar.removeAttribute("value");
    show(this.cancelButton, going);
    show(this.resumeButton, run.status === "cancelled" || run.status === "failed");
    // without a GPU lent, an engine that needs none
    show(this.besideButton, run.status === "failed" && Boolean(this.beside) && !this.asked.engine);
    const complete = run.cells.some((row) => row.every((cell) => cell.ready));
    show(this.blindBox, complete && !going && run.voices.length > 1);
    if (run.conditions.length && !this.built) this.buildGrid(run);
    if (this.built) this.fill(run);
  }

  buildGrid(run) {
    this.built = true;
    this.watcher = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) this.read(target.dataset.cell);
    }, { rootMargin: "200px" });
    const rows = run.conditions.map((condition, row) => {
      const cells = run.voices.map((voice, column) => {
        const body = h("div", { class: "compare-cell-body" }, h("p", { class: "hint" }, "Not rendered yet."));
        const element = h("article", { class: "compare-cell", dataset: { cell: `${row}/${column}`, voice } }, h("h3", {}, this.title("voice", voice)), body);
        this.clips.set(`${row}/${column}`, { row, column, voice, element, body, state: "" });
        return element;
      });
      const seeds = run.conditions.some((each) => each.seed !== condition.seed) ? ` · seed ${condition.seed}` : "";
      return h("section", { class: "compare-row" }, h("h2", {}, condition.title), h("p", { class: "hint" }, `as ${this.title("persona", condition.persona)}${seeds}`), h("div", { class: "compare-grid" }, cells));
    });
    this.grid.replaceChildren(...rows);
  }

  fill(run) {
    for (const cell of this.clips.values()) {
      const { ready, error } = run.cells[cell.row][cell.column];
      const state = error ? "error" : ready ? "ready" : "";
      if (state === cell.state) continue;
      cell.state = state;
      cell.element.dataset.state = state;
      if (error) cell.body.replaceChildren(h("p", { class: "hint" }, error));
      if (ready) {
        cell.body.replaceChildren(h("p", { class: "hint" }, "Reading…"));
        this.watcher.observe(cell.element);
      }
    }
  }

  async read(key) {
    const cell = this.clips.get(key);
    if (!cell || cell.clip || cell.reading) return;
    cell.reading = true;
    this.watcher.unobserve(cell.element);
    const id = this.id;
    try {
      const found = await api.cell(id, cell.row, cell.column);
      if (id !== this.id) return;
      cell.clip = new Clip(() => api.cellSound(id, cell.row, cell.column, this.channels.value), { name: `the answer of ${this.title("voice", cell.voice)}` });
      const latency = found.turn_latency_s === null ? "–" : ms(found.turn_latency_s * 1000);
      const facts = [
        ["Turn latency", latency, `From your last speech to the agent's first: median of ${found.turns}`],
        ["Words", String(found.words), "What the agent said"],
        ["Computing", found.rtf === null ? "–" : `${found.rtf.toFixed(2)} ×`, "Time to compute a second of sound"],
      ];
      const said = found.text ? h("p", { class: "compare-said" }, found.text) : h("p", { class: "hint" }, "No words are known of it.");
      cell.body.replaceChildren(cell.clip.element, h("dl", { class: "compare-facts" }, facts.map(([name, value, title]) => h("div", { title }, h("dt", {}, name), h("dd", {}, value)))), said);
      cell.clip.set(found.lane);
    } catch (error) {
      cell.body.replaceChildren(h("p", { class: "hint" }, error.message));
    }
    cell.reading = false;
  }

  /** The players' sound is another from now on. */
  rechannel() {
    for (const { clip } of this.clips.values()) {
      if (!clip) continue;
      clip.pause();
      if (clip.url) URL.revokeObjectURL(clip.url);
      clip.audio = clip.url = null;
    }
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
    try {
      const { id } = await api.makeTest(this.id);
      await api.begin(id, Number(this.trials.value));
      this.on.blind(id);
    } catch (error) {
      this.on.tell(error.message);
    } finally {
      this.blindButton.disabled = false;
    }
  }
}
