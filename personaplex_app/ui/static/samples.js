// Hear a voice before a talk: one player for the gallery, one sample at a time.

import { base } from "./api.js";
import { h } from "./dom.js";

const WORD = { play: "Hear", stop: "Stop" };

export class Samples {
  constructor() {
    this.audio = new Audio();
    this.button = null;
    for (const event of ["ended", "error"]) this.audio.addEventListener(event, () => this.hush());
  }

  /** A button that plays a voice's sample, and stops it. */
  buttonFor(voice) {
    const button = h("button", { type: "button", class: "card-hear", "aria-label": `Hear ${voice.title}`, "aria-pressed": "false", onclick: () => this.toggle(button, voice.name) }, WORD.play);
    return button;
  }

  toggle(button, name) {
    const again = button === this.button;
    this.hush();
    if (again) return;
    this.button = button;
    button.setAttribute("aria-pressed", "true");
    button.textContent = WORD.stop;
    this.audio.src = `${base}/voice/samples/${encodeURIComponent(name)}.wav`;
    this.audio.play().catch(() => this.hush());
  }

  hush() {
    this.audio.pause();
    this.button?.setAttribute("aria-pressed", "false");
    if (this.button) this.button.textContent = WORD.play;
    this.button = null;
  }
}
