// A talk that is over: its still lane with a player, transcript, exports, rating, keeping and deleting. Used after a
// talk, in Sessions, and for the answers of Respond.

import * as api from "./api.js";
import { button, clock, h, notify, saveAs, say, show, when } from "./dom.js";
import { HOST } from "./host.js";
import { DuplexLane } from "./lane.js";
import { Player } from "./player.js";

const FORMS = [
  ["html", "One file with sound, lane and words that opens in any browser, to send to somebody", "Share"],
  ["wav", "Stereo recording, you left, the agent right"],
  ["flac", "The same, half the size"],
  ["txt", "Transcript"],
  ["srt", "Subtitles"],
  ["json", "Everything, for programs"],
];
const FILES = [
  ["wav", "Both sides, you left, the agent right"],
  ["agent.wav", "The agent alone"],
  ["json", "Everything, for programs"],
  ["srt", "Subtitles"],
];
const KEPT = `Kept on ${HOST}.`;
const STARS = ["Poor", "Weak", "Fair", "Good", "Excellent"];

export class Recording {
  /**
   * @param {object} talk as /api/sessions/{id} gives it
   * @param {object} options
   * @param {HTMLElement} [options.lane] an element to draw the lane into
   * @param {HTMLElement} [options.captions] an element to fill with the transcript
   * @param {boolean} [options.small]
   * @param {() => void} [options.ondeleted]
   * @param {() => void} [options.onchanged] it is kept from now on
   * @param {Object<string, string>} [options.files] a rendering is no stored talk: where it lies, by form; nothing is
   *   rated or deleted then
   * @param {[string, string][]} [options.tracks] which of `files` can be heard, each with what it is called
   */
  constructor(talk, options = {}) {
    this.talk = talk;
    this.options = options;
    this.track = options.tracks?.[0][0] ?? null;
    this.notice = h("p", { class: "notice", role: "status", hidden: true });
    this.laneElement = options.lane ?? h("div", { class: `lane ${options.small ? "lane-small" : ""}` });
    this.lane = new DuplexLane(this.laneElement, {
      small: options.small,
      onSeek: talk.has_audio ? (at) => this.player.seek(at) : null,
    });
    this.lane.set(talk.lane);
    const ontime = (at) => this.mark(at);
    this.player = new Player(this.lane, () => this.fetched(this.heard()), {
      name: "the recording",
      tell: (text) => this.tell(text),
      ontime,
    });
    this.player.set(talk.duration_s);
    this.element = h(
      "div",
      { class: "recording" },
      options.lane ? null : this.laneElement,
      this.playerRow(),
      this.notice,
      this.body(),
    );
  }

  playerRow() {
    const forms = this.options.files ? FILES : FORMS;
    const downloads = forms
      .filter(([form]) => this.talk.has_audio || !["wav", "flac"].includes(form))
      .map((form) => this.downloadButton(...form));
    return h(
      "div",
      { class: "player" },
      this.talk.has_audio
        ? [this.player.button, this.player.time, this.tracks()]
        : h("span", { class: "hint" }, "No recording was made."),
      h("span", { class: "downloads", role: "group", "aria-label": "Downloads" }, downloads),
    );
  }

  downloadButton(form, what, name = form.replace(".", " ")) {
    const attributes = {
      dataset: { export: form },
      title: what,
      onclick: (event) => this.download(form, event.currentTarget),
      "aria-label": `${name === "Share" ? name : `Download ${name}`}: ${what}`,
    };
    return button(name, attributes, name === "Share" ? "" : "small");
  }

  tracks() {
    if (!this.options.tracks) return null;
    const trackButton = ([form, name]) => {
      const pressed = String(form === this.track);
      const onclick = () => this.choose(form);
      return button(name, { dataset: { track: form }, "aria-pressed": pressed, onclick }, "small");
    };
    const attributes = { class: "tracks", role: "group", "aria-label": "What to hear" };
    this.trackRow = h("span", attributes, this.options.tracks.map(trackButton));
    return this.trackRow;
  }

  /** Hear another track from where this one is. */
  async choose(form) {
    if (form === this.track) return;
    const { at, sounding } = this.player;
    this.player.silence();
    this.track = form;
    for (const each of this.trackRow.children) {
      each.setAttribute("aria-pressed", String(each.dataset.track === form));
    }
    await this.player.seek(at);
    if (sounding) await this.player.toggle();
  }

  body() {
    if (this.options.files) return h("div", { class: "recording-body" }, this.transcript());
    return h(
      "div",
      { class: "recording-body" },
      this.transcript(),
      h("div", { class: "recording-side" }, this.rating(), this.fate()),
    );
  }

  transcript() {
    const rows = this.talk.utterances.filter((each) => each.text.trim()).map((each) => this.line(each));
    this.rows = rows;
    if (this.options.captions) {
      this.options.captions.replaceChildren(...rows);
      return null;
    }
    const list = rows.length
      ? h("div", { class: "captions transcript" }, rows)
      : h("p", { class: "empty" }, "No words were recognised in this talk.");
    return h(
      "details",
      { class: "transcript-fold" },
      h("summary", {}, rows.length ? "Transcript" : "Transcript (empty)"),
      list,
    );
  }

  /** An utterance of the transcript; who spoke is a button that plays it. */
  line({ speaker, start_s, end_s, text, typed }) {
    const name = speaker === "user" ? "You" : "Agent";
    const shown = `${typed ? "Typed" : name} ${clock(start_s)}`;
    const onclick = () => this.player.seek(start_s);
    const who = button(shown, { class: "caption-who", onclick, "aria-label": `${shown}, play from here` });
    const dataset = { speaker, from: start_s, to: end_s };
    return h("p", { class: "caption", dataset }, who, h("span", { class: "caption-text" }, text));
  }

  rating() {
    const name = `stars-${this.talk.id}`;
    const stars = STARS.map((word, i) => {
      const value = i + 1;
      const checked = this.talk.stars === value;
      return h(
        "label",
        { class: "star", title: word },
        h("input", { type: "radio", name, value: String(value), checked, onchange: () => this.rate() }),
        h("span", { "aria-hidden": "true" }, "★"),
        h("span", { class: "sr-only" }, `${value} of 5, ${word}`),
      );
    });
    this.comment = h("textarea", {
      rows: "2",
      maxlength: "500",
      "aria-label": "Comment on this talk",
      placeholder: "What was good, what was not (optional)",
      onchange: () => this.rate(true),
    });
    this.comment.value = this.talk.comment ?? "";
    this.stars = h("div", { class: "stars" }, stars);
    this.rated = h("span", { class: "hint", role: "status" });
    const question = h("legend", {}, "How was it?");
    return h("fieldset", { class: "rating" }, question, this.stars, this.comment, this.rated);
  }

  fate() {
    this.keepButton = button("Keep it", { hidden: this.talk.kept, onclick: () => this.keep() });
    const gone = "Gone 15 minutes after its end unless you keep it.";
    this.keptText = h("span", { class: "hint" }, this.talk.kept ? KEPT : gone);
    return h("div", { class: "fate" }, this.keepButton, this.keptText, this.deleter());
  }

  deleter() {
    const ask = button("Delete…", { dataset: { act: "delete" } }, "quiet-danger");
    const sure = button("Delete for good", { dataset: { act: "delete-sure" } }, "danger");
    const no = button("Leave it");
    const box = h("span", { class: "confirm", hidden: true }, sure, no);
    const turn = (asking) => {
      show(ask, !asking);
      show(box, asking);
      (asking ? no : ask).focus();
    };
    ask.addEventListener("click", () => turn(true));
    no.addEventListener("click", () => turn(false));
    sure.addEventListener("click", () => this.remove());
    return h("span", { class: "deleter" }, ask, box);
  }

  tell(text) {
    notify(this.notice, text);
  }

  async trying(work) {
    this.tell("");
    try {
      return await work();
    } catch (error) {
      this.tell(error.message);
      return null;
    }
  }

  /** Which of its files is played. */
  heard() {
    return this.track ?? (new Audio().canPlayType("audio/flac") ? "flac" : "wav");
  }

  fetched(form) {
    return this.options.files ? api.file(this.options.files[form]) : api.exported(this.talk.id, form);
  }

  pause() {
    this.player.pause();
  }

  mark(at) {
    for (const row of this.rows) {
      row.classList.toggle("is-playing", at >= Number(row.dataset.from) && at <= Number(row.dataset.to));
    }
  }

  download(form, pressed) {
    return this.trying(async () => {
      pressed.disabled = true;
      try {
        const stamp = (this.talk.started_at ?? "").slice(0, 16).replace("T", "-").replace(":", "");
        saveAs(await this.fetched(form), `personaplex-${stamp}.${form}`);
      } finally {
        pressed.disabled = false;
      }
    });
  }

  rate(byComment = false) {
    const stars = Number(this.stars.querySelector("input:checked")?.value);
    if (!stars) {
      if (byComment) say(this.rated, "Choose stars too, then the comment is stored with them.");
      return null;
    }
    return this.trying(async () => {
      await api.rate(this.talk.id, stars, this.comment.value.trim());
      say(this.rated, `Thank you: ${stars} of 5 stored with the talk.`);
    });
  }

  keep() {
    return this.trying(async () => {
      await api.keep(this.talk.id);
      show(this.keepButton, false);
      say(this.keptText, KEPT);
      this.options.onchanged?.();
    });
  }

  remove() {
    return this.trying(async () => {
      await api.remove(this.talk.id);
      this.destroy();
      this.options.ondeleted?.();
    });
  }

  destroy() {
    this.player.destroy();
    this.element.remove();
  }
}

/** The heading of one talk: when, how long, with whom. */
export function heading(talk, level = "h2") {
  const state = { live: "running now", interrupted: "interrupted" }[talk.status];
  const fate = talk.kept ? "kept" : "temporary";
  const facts = [clock(talk.duration_s), talk.persona, talk.voice, talk.engine, state, fate];
  return h(
    "div",
    { class: "talk-heading" },
    h(level, {}, when(talk.started_at)),
    h("p", {}, facts.filter(Boolean).join(" · ")),
  );
}
