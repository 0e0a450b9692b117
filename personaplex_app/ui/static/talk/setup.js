// Who speaks: personas, voices, the role prompt. Fills itself from /voice/status and gives the talk's request.

import { VoiceClones } from "../clone/voice-clones.js";
import * as api from "../shared/api.js";
import { h, part, say, show } from "../shared/dom.js";
import { cardTexts, familyCards, familyOptions, spoken } from "../shared/families.js";
import { LANGUAGE, asNumber, languageOf, t, told } from "../shared/strings.js";
import { languageText } from "../shared/texts.js";
import { pictureOf } from "./persona-pictures.js";
import { RoleLink } from "./role-link.js";
import { VoiceSamples } from "./voice-samples.js";

const MODEL_WORDS = 200;
const USUAL_LIMIT_CHARS = 2000;

export class Setup {
  constructor(root) {
    this.root = root;
    this.samples = new VoiceSamples();
    this.clones = new VoiceClones(root, (name) => this.reload(name));
    // the two selects hold the values; the galleries below are another way to set them
    this.persona = root.querySelector("#talk-persona");
    this.voice = root.querySelector("#talk-voice");
    this.prompt = root.querySelector("#talk-prompt");
    this.keep = root.querySelector("#talk-keep");
    this.length = root.querySelector("#talk-length");
    this.voices = new Map();
    this.personas = new Map();
    this.limitChars = USUAL_LIMIT_CHARS;
    this.link = new RoleLink(root, this);
    this.persona.addEventListener("change", () => this.choosePersona(this.persona.value));
    this.voice.addEventListener("change", () => this.chooseVoice(this.voice.value));
    this.prompt.addEventListener("input", () => this.promptChanged());
  }

  /**
   * Offer what the server has; keeps what was chosen where it still exists.
   *
   * @param {object} status as /voice/status gives it
   */
  fill(status) {
    const { voices, engine, limits } = status;
    const personas = inOrder(status.personas);
    const can = engine.capabilities ?? {};
    // samples come one by one while the engine idles; the gallery stays as it is
    const key = JSON.stringify([voices.map(({ sample, ...each }) => each), personas, can]);
    this.limitChars = limits?.prompt_chars ?? USUAL_LIMIT_CHARS;
    this.offerKeep(status.keep ?? {});
    this.offerLengths(status.lease);
    if (key === this.key) {
      this.offerSamples(voices);
      return;
    }
    const before = this.key ? this.chosen() : null;
    this.key = key;
    this.voices = new Map(voices.map((each) => [each.name, each]));
    this.personas = new Map(personas.map((each) => [each.name, each]));
    this.clones.offer(Boolean(can.cloning), this.voices);
    this.greets = engine.name === "classic"; // others wait to be spoken to, or begin as they like
    this.offerVoices(voices);
    this.offerRole(personas, engine);
    if (can.role_prompt) {
      const known = this.personas.has(this.persona.dataset.chosen) ? this.persona.dataset.chosen : null;
      this.choosePersona(known ?? firstPersona(personas, status.default_persona));
    } else {
      this.chooseVoice(voices[0]?.name);
    }
    if (before) this.restore(before);
    this.link.follow(engine);
  }

  offerVoices(voices) {
    fillSelect(this.voice, voices, t("no_voice_yet"));
    const describe = (voice) => voice.description;
    this.gallery("voice", voices, describe, (name) => this.chooseVoice(name));
  }

  /** Offer personas and a role prompt, where the engine can play a role. */
  offerRole(personas, engine) {
    const { role_prompt, roleless } = engine.capabilities ?? {};
    const role = Boolean(role_prompt);
    const offered = role ? personas : [];
    this.roleless = Boolean(roleless);
    fillSelect(this.persona, offered, t("nobody"));
    const describe = (persona) => persona.purpose;
    this.gallery("persona", offered, describe, (name) => this.choosePersona(name));
    this.persona.closest(".inline-field").classList.toggle("is-fixed", !role);
    this.prompt.disabled = !role;
    show(part(this.root, "persona-block"), offered.length > 0);
    show(part(this.root, "prompt-block"), true);
    show(this.prompt, role);
    show(part(this.root, "prompt-count"), role);
    const empty = roleless ? ` ${t("prompt_may_be_empty")}` : "";
    const language = engine.language ? ` ${languageText(engine.language)}` : "";
    const can = `${t("prompt_hint")}${empty}${language}`;
    const cannot = t("prompt_not", { engine: told(engine.title) });
    say(part(this.root, "prompt-hint"), role ? can : cannot);
  }

  chosen() {
    return { voice: this.voice.value, prompt: this.edited() ? this.prompt.value : null };
  }

  /** An engine that has become ready must not undo what was chosen while it loaded. */
  restore({ voice, prompt }) {
    this.chooseVoice(voice);
    if (prompt !== null) this.setPrompt(prompt);
  }

  setPrompt(text) {
    this.prompt.value = text;
    this.promptChanged();
  }

  promptChanged() {
    this.count();
    this.offerExamples();
  }

  /** Whether the role prompt is no longer the persona's own. */
  edited() {
    return this.prompt.value !== (this.personas.get(this.persona.value)?.prompt ?? "");
  }

  /** A persona's examples fit its own prompt only. */
  offerExamples() {
    const persona = this.personas.get(this.persona.value);
    const examples = persona?.examples ?? [];
    part(this.root, "example-list").replaceChildren(...examples.map((text) => h("li", {}, text)));
    if (persona) {
      const { title, purpose, first_line, language } = persona;
      const named = (tag, text) => h(tag, { lang: languageOf(text, language) }, told(text));
      const greets = this.greets && first_line && h("q", { lang: language }, first_line);
      const who = h("p", {}, named("b", title), named("span", purpose), spoken(language), greets);
      part(this.root, "character").replaceChildren(pictureOf(persona), who);
      part(this.root, "example-list").lang = this.prompt.lang = language;
    }
    show(part(this.root, "examples"), examples.length > 0 && !this.edited());
  }

  offerKeep({ available, problem }) {
    const refused = available === false;
    this.keep.disabled = refused;
    if (refused) this.keep.checked = false;
    const why = told(problem) || t("keep_cannot");
    say(part(this.root, "keep-hint"), refused ? why : t("keep_hint"));
  }

  /** Where the engine's GPU is lent, the visitor says for how long. */
  offerLengths(lease) {
    show(part(this.root, "lease"), Boolean(lease));
    if (!lease || this.length.options.length) return;
    const option = (seconds) => {
      const attributes = { value: String(seconds), selected: seconds === lease.usual_s };
      return h("option", attributes, t("seconds", { n: seconds }));
    };
    this.length.replaceChildren(...lease.lengths_s.map(option));
  }

  /** Fill the gallery of `kind`, "persona" or "voice". */
  gallery(kind, items, describe, choose) {
    const card = (each) => {
      const onchange = () => choose(each.name);
      return h(
        "label",
        { class: each.sample ? "card has-sample" : "card" },
        h("input", { type: "radio", name: `${kind}-choice`, value: each.name, onchange }),
        h("span", { class: "card-body" }, cardTexts(each, describe(each))),
        kind === "persona" && pictureOf(each),
        each.sample && this.samples.buttonFor(each),
      );
    };
    part(this.root, `${kind}-gallery`).replaceChildren(...familyCards(items, card));
  }

  choosePersona(name) {
    const persona = this.personas.get(name);
    if (!persona) return;
    this.persona.value = this.persona.dataset.chosen = name;
    this.check("persona", name);
    this.setPrompt(persona.prompt);
    const cloned = this.clones.voice?.name; // who cloned a voice means to hear it, whatever the persona
    this.chooseVoice([cloned, persona.voice].find((each) => this.voices.has(each)) ?? this.voice.value);
  }

  chooseVoice(name) {
    if (!this.voices.has(name)) return;
    this.voice.value = name;
    this.check("voice", name);
    this.clones.choose(this.voices.get(name));
  }

  /** Look again which voices there are, and choose one. */
  async reload(name) {
    this.fill(await api.status());
    this.chooseVoice(name);
  }

  check(kind, name) {
    for (const radio of this.root.querySelectorAll(`input[name="${kind}-choice"]`)) {
      radio.checked = radio.value === name;
    }
  }

  /** Say how long the role prompt is. */
  count() {
    const { length } = this.prompt.value;
    const over = length > this.limitChars;
    const counter = part(this.root, "prompt-count");
    counter.classList.toggle("is-over", over);
    this.prompt.setAttribute("aria-invalid", String(over));
    const characters = t("prompt_count", { n: asNumber(length), most: asNumber(this.limitChars) });
    say(counter, [characters, this.advice()].filter(Boolean).join(" · "));
  }

  /** What to know of the role prompt's length, if anything. */
  advice() {
    const text = this.prompt.value.trim();
    const over = this.prompt.value.length - this.limitChars;
    if (over > 0) return t("prompt_over", { n: asNumber(over) });
    const words = text ? text.split(/\s+/).length : 0;
    return words > MODEL_WORDS ? t("prompt_long", { n: asNumber(words) }) : "";
  }

  /** Why no talk can be asked for with this role prompt, as a sentence, or null. */
  problem() {
    if (this.prompt.disabled) return null;
    const { length } = this.prompt.value;
    const empty = !this.prompt.value.trim();
    const allowed = empty ? this.roleless : length <= this.limitChars;
    if (allowed) return null;
    this.prompt.focus();
    if (empty) return t("prompt_empty");
    return t("prompt_too_long", { n: length, most: this.limitChars });
  }

  /** Put a button on every voice that can be heard by now. */
  offerSamples(voices) {
    const gallery = part(this.root, "voice-gallery");
    for (const each of voices.filter(({ sample }) => sample)) {
      const card = gallery.querySelector(`input[value="${CSS.escape(each.name)}"]`)?.closest(".card");
      if (!card || card.classList.contains("has-sample")) continue;
      card.classList.add("has-sample");
      card.append(this.samples.buttonFor(each));
    }
  }

  /** A sample must not be heard in a talk. */
  hush() {
    this.samples.hush();
  }

  /**
   * The talk to ask for: the fields of a `start` message.
   *
   * @param {string} engine another than the page's own, or ""; it may need a role that the page's own does not play
   */
  request(engine) {
    const request = { voice_prompt: this.voice.value, keep: this.keep.checked };
    if (engine) request.engine = engine;
    else if (this.length.value) request.lease_s = Number(this.length.value);
    const prompt = this.prompt.value.trim();
    if (engine && !prompt) {
      request.persona = this.persona.value;
    } else if (!this.prompt.disabled) {
      request.text_prompt = prompt;
      request.persona = this.persona.value;
    }
    return request;
  }
}

/** The personas, each with the code of its language, those who speak the page's before all others. */
function inOrder(personas) {
  const named = personas.map((each) => ({ ...each, language: each.language || "en" }));
  const own = (each) => Number(each.language === LANGUAGE);
  return named.sort((a, b) => own(b) - own(a));
}

/** The persona to begin with: the app's own first one, another where that does not speak the page's language. */
function firstPersona(personas, name) {
  const usual = personas.find((each) => each.name === name);
  return usual?.language === LANGUAGE || personas[0]?.language !== LANGUAGE ? name : personas[0].name;
}

function fillSelect(select, items, none) {
  const chosen = select.value;
  const groups = familyOptions(items);
  select.replaceChildren(...(groups.length ? groups : [h("option", { value: "" }, none)]));
  if (items.some((each) => each.name === chosen)) select.value = chosen;
  select.disabled = !items.length;
}
