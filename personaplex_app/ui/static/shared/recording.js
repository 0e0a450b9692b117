// A talk that is over: its still lane with a player, transcript, exports, rating, keeping and deleting. Used after a
// talk, in Sessions, and for the answers of Respond.

import * as api from "./api.js";
import { button, clock, h, notify, saveAs, say, show, when } from "./dom.js";
import { hostText } from "./host.js";
import { DuplexLane } from "./lane.js";
import { Player } from "./player.js";
import { asNumber, t } from "./strings.js";

const SHARED = "html";
const FORMS = [SHARED, "wav", "flac", "txt", "srt", "json"];
const FILES = ["wav", "agent.wav", "json", "srt"];
const STARS = [1, 2, 3, 4, 5];

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
      name: t("the_recording"),
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
      .filter((form) => this.talk.has_audio || !["wav", "flac"].includes(form))
      .map((form) => this.downloadButton(form));
    return h(
      "div",
      { class: "player" },
      this.talk.has_audio
        ? [this.player.button, this.player.time, this.tracks()]
        : h("span", { class: "hint" }, t("no_recording")),
      h("span", { class: "downloads", role: "group", "aria-label": t("downloads") }, downloads),
    );
  }

  downloadButton(form) {
    const shared = form === SHARED;
    const what = t(`form_${form}`);
    const name = shared ? t("share") : form.replace(".", " ");
    const attributes = {
      dataset: { export: form },
      title: what,
      onclick: (event) => this.download(form, event.currentTarget),
      "aria-label": t(shared ? "share_what" : "download", { name, what }),
    };
    return button(name, attributes, shared ? "" : "small");
  }

  tracks() {
    if (!this.options.tracks) return null;
    const trackButton = ([form, name]) => {
      const pressed = String(form === this.track);
      const onclick = () => this.choose(form);
      return button(name, { dataset: { track: form }, "aria-pressed": pressed, onclick }, "small");
    };
    const attributes = { class: "tracks", role: "group", "aria-label": t("what_to_hear") };
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
      : h("p", { class: "empty" }, t("no_words"));
    return h(
      "details",
      { class: "transcript-fold" },
      h("summary", {}, t(rows.length ? "transcript" : "transcript_empty")),
      list,
    );
  }

  /** An utterance of the transcript; who spoke is a button that plays it. */
  line({ speaker, start_s, end_s, text, typed }) {
    const name = t(speaker === "user" ? "you" : "agent");
    const shown = `${typed ? t("typed") : name} ${clock(start_s)}`;
    const onclick = () => this.player.seek(start_s);
    const who = button(shown, {
      class: "caption-who",
      onclick,
      "aria-label": t("play_from", { who: shown }),
    });
    const dataset = { speaker, from: start_s, to: end_s };
    return h("p", { class: "caption", dataset }, who, h("span", { class: "caption-text" }, text));
  }

  rating() {
    const name = `stars-${this.talk.id}`;
    const stars = STARS.map((value) => {
      const word = t(`star_${value}`);
      const checked = this.talk.stars === value;
      return h(
        "label",
        { class: "star", title: word },
        h("input", { type: "radio", name, value: String(value), checked, onchange: () => this.rate() }),
        h("span", { "aria-hidden": "true" }, "★"),
        h("span", { class: "sr-only" }, t("star_of", { n: value, word })),
      );
    });
    this.comment = h("textarea", {
      rows: "2",
      maxlength: "500",
      "aria-label": t("comment"),
      placeholder: t("comment_here"),
      onchange: () => this.rate(true),
    });
    this.comment.value = this.talk.comment ?? "";
    this.stars = h("div", { class: "stars" }, stars);
    this.rated = h("span", { class: "hint", role: "status" });
    const question = h("legend", {}, t("how_was_it"));
    return h("fieldset", { class: "rating" }, question, this.stars, this.comment, this.rated);
  }

  fate() {
    this.keepButton = button(t("keep_it"), { hidden: this.talk.kept, onclick: () => this.keep() });
    const gone = t("gone_unless_kept");
    this.keptText = h("span", { class: "hint" }, this.talk.kept ? hostText("kept") : gone);
    return h("div", { class: "fate" }, this.keepButton, this.keptText, this.deleter());
  }

  deleter() {
    const ask = button(t("delete"), { dataset: { act: "delete" } }, "quiet-danger");
    const sure = button(t("delete_sure"), { dataset: { act: "delete-sure" } }, "danger");
    const no = button(t("leave_it"));
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
      if (byComment) say(this.rated, t("stars_first"));
      return null;
    }
    return this.trying(async () => {
      await api.rate(this.talk.id, stars, this.comment.value.trim());
      say(this.rated, t("rated", { n: asNumber(stars) }));
    });
  }

  keep() {
    return this.trying(async () => {
      await api.keep(this.talk.id);
      show(this.keepButton, false);
      say(this.keptText, hostText("kept"));
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
  const state = ["live", "interrupted"].includes(talk.status) && t(`status_${talk.status}`);
  const fate = t(talk.kept ? "kept" : "temporary");
  const facts = [clock(talk.duration_s), talk.persona, talk.voice, talk.engine, state, fate];
  return h(
    "div",
    { class: "talk-heading" },
    h(level, {}, when(talk.started_at)),
    h("p", {}, facts.filter(Boolean).join(" · ")),
  );
}
