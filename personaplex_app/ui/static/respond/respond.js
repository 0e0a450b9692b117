// The Respond tab's answers: how far the one being rendered is, and those that are there, each drawn beside the
// recording it answers.

import * as api from "../shared/api.js";
import { about, button, clock, h, ms, part, say, show } from "../shared/dom.js";
import { Recording } from "../shared/recording.js";
import { watchPicker } from "./clip-picker.js";

const MOST_ANSWERS = 12;

/** Called by Gradio's component; its value is what the server tells of the rendering, `trigger` asks for another. */
export function mount(element, props, watch, trigger) {
  const answers = new Answers(element.querySelector(".respond"), trigger);
  const take = () => answers.take(props.value);
  watch("value", take);
  take(); // what was pressed before this script had come may be answered already
}

class Answers {
  constructor(root, trigger) {
    this.root = root;
    this.trigger = trigger;
    this.list = part(root, "answers");
    this.cards = new Map();
    // nobody wants to hear an answer from behind another tab
    new IntersectionObserver(
      (entries) => entries.every((each) => !each.isIntersecting) && this.pause(),
    ).observe(root);
    this.tell("idle", "");
    watchPicker("#respond-clip", root.dataset.formats.split(","), (text) =>
      this.tell(text ? "error" : "idle", text),
    );
  }

  /** Take what the server says of the rendering under way. */
  take(told) {
    // what was under way when it was cancelled may still arrive
    if (told.job && told.job === this.cancelled) return;
    if (told.state === "cancelled") this.cancelled = this.job;
    this.job = told.job ?? this.job;
    this.busy(told.state === "working");
    if (told.state === "working") {
      this.tell("working", `${told.text}${told.left_s ? ` ${about(told.left_s)} left.` : ""}`, told.share);
    } else if (told.state === "failed") {
      this.tell("error", told.text);
    } else if (told.state === "cancelled") {
      this.tell("idle", "Cancelled. Nothing was kept.");
    } else if (told.state === "done") {
      this.add(told);
    }
  }

  tell(state, text, share = null) {
    const status = this.root.querySelector("#respond-status");
    status.dataset.state = state;
    say(part(this.root, "status-text"), text);
    const bar = part(this.root, "status-progress");
    show(bar, share !== null);
    if (share !== null) bar.value = share;
    show(status, Boolean(text));
    // on a small screen it would stand below what was pressed, out of sight
    if (state !== "idle") status.scrollIntoView({ block: "nearest" });
  }

  busy(on) {
    document.querySelector("#respond-actions")?.classList.toggle("is-busy", on);
    for (const each of this.root.querySelectorAll('[data-act="again"]')) each.disabled = on;
  }

  add(answer) {
    this.tell("idle", [renderedText(answer), ...answer.notes].join(" "));
    this.remove(answer.key);
    const recording = new Recording(answer, {
      files: answer.files,
      tracks: [
        ["wav", "Both"],
        ["agent.wav", "Agent alone"],
      ],
    });
    recording.laneElement.classList.add("lane-answer");
    const card = h(
      "li",
      { class: "session", dataset: { key: answer.key, voice: answer.voice } },
      this.heading(answer),
      recording.element,
      this.again(answer),
    );
    this.cards.set(answer.key, { card, recording });
    this.list.prepend(card);
    recording.element.querySelector("details")?.setAttribute("open", "");
    while (this.cards.size > MOST_ANSWERS) this.remove(this.cards.keys().next().value);
    this.offerVoices(card, answer);
    card.scrollIntoView({
      block: "nearest",
      behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
    });
  }

  heading(answer) {
    const facts = [
      `seed ${answer.sampling.seed}`,
      clock(answer.duration_s),
      turnText(answer),
      `step ${answer.step_ms.p50.toFixed(1)} ms`,
      answer.engine,
    ];
    const persona = h("span", { dataset: { part: "persona-title" } }, answer.persona);
    return h(
      "div",
      { class: "talk-heading" },
      h("h2", { dataset: { part: "voice-title" } }, answer.voice),
      h("p", {}, persona, ` · ${facts.filter(Boolean).join(" · ")}`),
    );
  }

  again(answer) {
    const select = h("select", { "aria-label": "Another voice", dataset: { part: "again-voice" } });
    const onclick = () =>
      this.trigger("submit", { key: answer.key, voice: select.value, greets: answer.greets });
    return h(
      "div",
      { class: "sentence again", hidden: true },
      h("span", {}, "The same again in the voice"),
      h("label", { class: "inline-field" }, select),
      button("Hear it", { dataset: { act: "again" }, onclick }),
    );
  }

  async offerVoices(card, answer) {
    const { voices, personas } = await api.status().catch(() => ({ voices: [], personas: [] }));
    say(
      part(card, "persona-title"),
      personas.find((each) => each.name === answer.persona)?.title ?? answer.persona,
    );
    const others = voices.filter((each) => each.name !== answer.voice && !each.name.startsWith("clone:"));
    say(part(card, "voice-title"), voices.find((each) => each.name === answer.voice)?.title ?? answer.voice);
    // first the one after this, so that pressing again and again goes through them all
    const at = voices.findIndex((each) => each.name === answer.voice);
    const next = others.find((each) => voices.indexOf(each) > at) ?? others[0];
    part(card, "again-voice").replaceChildren(
      ...others.map((each) => h("option", { value: each.name, selected: each === next }, each.title)),
    );
    show(card.querySelector(".again"), others.length > 0);
  }

  remove(key) {
    const known = this.cards.get(key);
    known?.recording.destroy();
    known?.card.remove();
    this.cards.delete(key);
  }

  pause() {
    for (const { recording } of this.cards.values()) recording.pause();
  }
}

/** How long the rendering took. */
function renderedText({ cached, speed, duration_s }) {
  if (cached) return "This answer was rendered before, so it is here at once.";
  return speed >= 1.05
    ? `Rendered ${speed.toFixed(1)} times as fast as it is spoken.`
    : `Rendered in ${Math.round(duration_s / speed)} s.`;
}

/** The median turn latency, or null where there was no turn. */
function turnText({ turn_latencies }) {
  if (!turn_latencies.length) return null;
  const latencies_s = turn_latencies.map((each) => each.latency_s).sort((a, b) => a - b);
  return `turn latency ${ms(1000 * latencies_s[Math.floor((latencies_s.length - 1) / 2)])}`;
}
