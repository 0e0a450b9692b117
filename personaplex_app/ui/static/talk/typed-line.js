// A line that is typed in place of speaking.

import { part } from "../shared/dom.js";

export class TypedLine {
  /**
   * @param {Element} root
   * @param {(text: string) => void} send
   */
  constructor(root, send) {
    this.input = root.querySelector("#talk-typed");
    this.sent = "";
    part(root, "typed").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.input.value.trim();
      if (!text) return;
      this.sent = text;
      this.input.value = "";
      send(text);
    });
  }

  /** Give back what the server did not take. */
  refused() {
    if (!this.input.value) this.input.value = this.sent;
  }
}
