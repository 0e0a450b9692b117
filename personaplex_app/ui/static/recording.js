// A talk that is over: its still lane with a player, transcript, exports, rating, keeping and deleting. Used after a talk and in Sessions.

import * as api from "./api.js";
import { clock, h, say, show, when } from "./dom.js";
import { DuplexLane } from "./lane.js";
import { Player } from "./player.js";

const FORMS = [
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
const STARS = ["Poor", "Weak", "Fair", "Good", "Excellent"];

export class Recording {
  /**
   * `talk` is what /api/sessions/{id} gave; `options`: lane and captions (existing elements to fill), small, ondeleted, onchanged. A rendering
   * is no stored talk: `files` then says where it lies by form, `tracks` which of them can be heard, and nothing is rated or deleted.
   */
  constructor(talk, options = {}) {
    this.talk = talk;
    this.options = options;
    this.track = options.tracks?.[0][0] ?? null;
    this.notice = h("p", { class: "notice", role: "status", hidden: true });
    this.laneElement = options.lane ?? h("div", { class: `lane ${options.small ? "lane-small" : ""}` });
    this.lane = new DuplexLane(this.laneElement, { small: options.small, onSeek: talk.has_audio ? (at) => this.player.seek(at) : null });
    this.lane.set(talk.lane);
    const ontime = (at) => this.mark(at);
    this.player = new Player(this.lane, () => this.fetched(this.heard()), { name: "the recording", tell: (text) => this.tell(text), ontime });
    this.player.set(talk.duration_s);
    this.element = h("div", { class: "recording" }, options.lane ? null : this.laneElement, this.playerRow(), this.notice, this.body());
  }

  playerRow() {
    const forms = this.options.files ? FILES : FORMS;
    const downloads = forms.filter(([form]) => this.talk.has_audio || !["wav", "flac"].includes(form)).map(([form, what]) =>
      h("button", { type: "button", class: "button button-small", dataset: { export: form }, title: what, onclick: (event) => this.download(form, event.currentTarget), "aria-label": `Download ${form}: ${what}` }, form.replace(".", " ")),
    );
    return h("div", { class: "player" }, this.talk.has_audio ? [this.player.button, this.player.time, this.tracks()] : h("span", { class: "hint" }, "No recording was made."), h("span", { class: "downloads", role: "group", "aria-label": "Downloads" }, downloads));
  }

  tracks() {
    if (!this.options.tracks) return null;
    const button = ([form, name]) => h("button", { type: "button", class: "button button-small", dataset: { track: form }, "aria-pressed": String(form === this.track), onclick: () => this.choose(form) }, name);
    this.trackRow = h("span", { class: "tracks", role: "group", "aria-label": "What to hear" }, this.options.tracks.map(button));
    return this.trackRow;
  }

  /** Hear another track from where this one is. */
  async choose(form) {
    if (form === this.track) return;
    const { at, sounding } = this.player;
    this.player.silence();
    this.track = form;
    for (const button of this.trackRow.children) button.setAttribute("aria-pressed", String(button.dataset.track === form));
    await this.player.seek(at);
    if (sounding) await this.player.toggle();
  }

  body() {
    if (this.options.files) return h("div", { class: "recording-body" }, this.transcript());
    return h("div", { class: "recording-body" }, this.transcript(), h("div", { class: "recording-side" }, this.rating(), this.fate()));
  }

  transcript() {
    const rows = this.talk.utterances
      .filter((each) => each.text.trim())
      .map((each) =>
        h(
          "p",
          { class: "caption", dataset: { speaker: each.speaker, from: each.start_s, to: each.end_s } },
          h("button", { type: "button", class: "caption-who", onclick: () => this.player.seek(each.start_s), "aria-label": `Play from ${clock(each.start_s)}` }, `${each.speaker === "user" ? "You" : "Agent"} ${clock(each.start_s)}`),
          h("span", { class: "caption-text" }, each.text),
        ),
      );
    this.rows = rows;
    if (this.options.captions) {
      this.options.captions.replaceChildren(...rows);
      return null;
    }
    const list = rows.length ? h("div", { class: "captions transcript" }, rows) : h("p", { class: "empty" }, "No words were recognised in this talk.");
    return h("details", { class: "transcript-fold" }, h("summary", {}, rows.length ? "Transcript" : "Transcript (empty)"), list);
  }

  rating() {
    const name = `stars-${this.talk.id}`;
    const stars = STARS.map((word, i) =>
      h("label", { class: "star", title: word }, h("input", { type: "radio", name, value: String(i + 1), checked: this.talk.stars === i + 1, onchange: () => this.rate() }), h("span", { "aria-hidden": "true" }, "★"), h("span", { class: "sr-only" }, `${i + 1} of 5, ${word}`)),
    );
    this.comment = h("textarea", { rows: "2", maxlength: "500", "aria-label": "Comment on this talk", placeholder: "What was good, what was not (optional)", onchange: () => this.rate(true) });
    this.comment.value = this.talk.comment ?? "";
    this.stars = h("div", { class: "stars" }, stars);
    this.rated = h("span", { class: "hint", role: "status" });
    return h("fieldset", { class: "rating" }, h("legend", {}, "How was it?"), this.stars, this.comment, this.rated);
  }

  fate() {
    this.keepButton = h("button", { type: "button", class: "button", hidden: this.talk.kept, onclick: () => this.keep() }, "Keep it");
    this.keptText = h("span", { class: "hint" }, this.talk.kept ? "Kept on this computer." : "Gone 15 minutes after its end unless you keep it.");
    return h("div", { class: "fate" }, this.keepButton, this.keptText, this.deleter());
  }

  deleter() {
    const ask = h("button", { type: "button", class: "button button-quiet-danger", dataset: { act: "delete" } }, "Delete…");
    const sure = h("button", { type: "button", class: "button button-danger", dataset: { act: "delete-sure" } }, "Delete for good");
    const no = h("button", { type: "button", class: "button" }, "Leave it");
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
    say(this.notice, text);
    show(this.notice, Boolean(text));
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
    for (const row of this.rows) row.classList.toggle("is-playing", at >= Number(row.dataset.from) && at <= Number(row.dataset.to));
  }

  download(form, button) {
    return this.trying(async () => {
      button.disabled = true;
      try {
        const url = URL.createObjectURL(await this.fetched(form));
        const stamp = (this.talk.started_at ?? "").slice(0, 16).replace("T", "-").replace(":", "");
        h("a", { href: url, download: `personaplex-${stamp}.${form}` }).click();
        setTimeout(() => URL.revokeObjectURL(url), 60_000);
      } finally {
        button.disabled = false;
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
      say(this.keptText, "Kept on this computer.");
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
  return h(
    "div",
    { class: "talk-heading" },
    h(level, {}, when(talk.started_at)),
    h("p", {}, [clock(talk.duration_s), talk.persona, talk.voice, talk.engine, state, talk.kept ? "kept" : "passing"].filter(Boolean).join(" · ")),
  );
}
