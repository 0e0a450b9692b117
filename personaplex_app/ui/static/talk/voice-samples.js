// Hear a voice before a talk: one player for the gallery, one sample at a time.

import { base } from "../shared/api.js";
import { button } from "../shared/dom.js";
import { t, told } from "../shared/strings.js";

const WORD = { play: t("hear"), stop: t("stop") };

export class VoiceSamples {
  constructor() {
    this.audio = new Audio();
    this.button = null;
    for (const event of ["ended", "error"]) this.audio.addEventListener(event, () => this.hush());
  }

  /** A button that plays a voice's sample, and stops it. */
  buttonFor(voice) {
    const made = button(WORD.play, {
      class: "card-hear",
      "aria-label": t("hear_voice", { voice: told(voice.title) }),
      "aria-pressed": "false",
      onclick: () => this.toggle(made, voice.name),
    });
    return made;
  }

  toggle(pressed, name) {
    const again = pressed === this.button;
    this.hush();
    if (again) return;
    this.button = pressed;
    this.show(WORD.stop, true);
    this.audio.src = `${base}/voice/samples/${encodeURIComponent(name)}.wav`;
    this.audio.play().catch(() => this.hush());
  }

  hush() {
    this.audio.pause();
    if (this.button) this.show(WORD.play, false);
    this.button = null;
  }

  show(word, pressed) {
    this.button.setAttribute("aria-pressed", String(pressed));
    this.button.textContent = word;
  }
}
