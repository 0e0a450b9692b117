// Push-to-talk: the microphone is open only while a button or the space bar is held.

import { part, say, show } from "../shared/dom.js";
import { t } from "../shared/strings.js";
import { forThePage } from "./keys.js";

const KEY = "personaplex-push-to-talk";

function stored() {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false; // some browsers keep nothing for a page in a frame
  }
}

function store(on) {
  try {
    localStorage.setItem(KEY, on ? "1" : "");
  } catch {
    // it holds for this visit
  }
}

export class PushToTalk {
  /**
   * @param {Element} root
   * @param {() => void} changed what `on` or `held` say is another than before
   */
  constructor(root, changed) {
    this.changed = changed;
    this.box = part(root, "push-to-talk");
    this.button = root.querySelector("#talk-hold");
    this.box.checked = stored();
    this.held = false;
    this.live = false;
    this.box.addEventListener("change", () => {
      store(this.on);
      this.hold(false);
      this.show(this.live);
      this.changed();
    });
    this.listen(root);
  }

  /** Whether the microphone is silent unless something is held. */
  get on() {
    return this.box.checked;
  }

  listen(root) {
    this.button.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.button.setPointerCapture(event.pointerId);
      this.hold(true);
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      this.button.addEventListener(name, () => this.hold(false));
    }
    // a long touch would open a menu
    this.button.addEventListener("contextmenu", (event) => event.preventDefault());
    // what presses without holding, such as Enter, a switch or a screen reader, opens and closes it
    this.button.addEventListener("click", (event) => event.detail === 0 && this.hold(!this.held));
    document.addEventListener("keydown", (event) => {
      if (event.key !== " " || !this.on || !this.live || root.offsetParent === null) return;
      if (event.target !== this.button && !forThePage(event)) return;
      event.preventDefault();
      this.hold(true);
    });
    document.addEventListener("keyup", (event) => {
      if (event.key !== " " || !this.held) return;
      event.preventDefault(); // on the button it would be a click as well
      this.hold(false);
    });
    // the key may be let go of where this page does not hear of it
    window.addEventListener("blur", () => this.hold(false));
  }

  hold(on) {
    const held = on && this.on && this.live;
    if (held === this.held) return;
    this.held = held;
    this.button.setAttribute("aria-pressed", String(held));
    say(this.button, t(held ? "hears_you" : "hold"));
    this.changed();
  }

  /** Offer the button while a talk is live. */
  show(live) {
    this.live = live;
    if (!live) this.hold(false);
    show(this.button, live && this.on);
  }
}
