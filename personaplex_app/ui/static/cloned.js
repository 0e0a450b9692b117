// A person's cloned voices among the others: made on a sheet of its own; the chosen one is kept, exported and deleted here.

import * as api from "./api.js";
import { CloneSheet } from "./clone.js";
import { h, part, say, show } from "./dom.js";

export class ClonedVoices {
  /** `changed(name)` is called when the voices are others; `name` is the one to choose, if any. */
  constructor(root, changed) {
    this.root = part(root, "clone");
    this.changed = changed;
    this.voice = null;
    const made = async (voice) => {
      await this.changed(voice.name);
      this.tell(`${voice.title} is ready, and chosen for your next talk.`);
    };
    this.sheet = new CloneSheet(root, made, (text) => this.tell(text));
    const click = (id, work) => root.querySelector(`#clone-${id}`).addEventListener("click", work);
    click("open", () => this.tell(""));
    click("keep-chosen", () => this.keep());
    click("export", () => this.exportIt());
    click("delete", () => this.askDelete(true));
    click("delete-not", () => this.askDelete(false));
    click("delete-sure", () => this.remove());
  }

  /** Follow what the engine can and which voices there are. */
  offer(can, voices) {
    this.sheet.offer(can);
    const lost = this.voice && !voices.has(this.voice.name) ? this.voice : null;
    if (lost && lost.clone.id !== this.deleted) this.tell(can ? `${lost.title} is gone: it was not kept, and not used for an hour.` : "");
  }

  /** Show what can be done with the chosen voice, where it is a cloned one. */
  choose(voice) {
    this.voice = voice?.clone ? voice : null;
    show(part(this.root, "clone-chosen"), Boolean(this.voice));
    if (!this.voice) return;
    const fate = voice.clone.kept ? "is kept on this computer until you delete it." : "is gone an hour after its last use, unless you keep it.";
    part(this.root, "clone-fate").replaceChildren(h("b", {}, voice.title), ` ${fate}`);
    show(this.root.querySelector("#clone-keep-chosen"), !voice.clone.kept);
    this.askDelete(false, false);
  }

  tell(text) {
    const notice = part(this.root, "clone-notice");
    say(notice, text);
    show(notice, Boolean(text));
  }

  async doing(work) {
    this.tell("");
    try {
      await work(this.voice.clone.id, this.voice);
    } catch (error) {
      this.tell(error.message);
    }
  }

  keep() {
    return this.doing(async (id, voice) => {
      await api.keepClone(id);
      await this.changed(voice.name);
      this.tell(`${voice.title} is kept.`);
      this.root.querySelector("#clone-export").focus();
    });
  }

  exportIt() {
    return this.doing(async (id, voice) => {
      const url = URL.createObjectURL(await api.exportedClone(id));
      h("a", { href: url, download: `${voice.title.replace(/[^\p{L}\p{N}]+/gu, "-")}.safetensors` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    });
  }

  askDelete(asking, focus = true) {
    const [button, box] = [this.root.querySelector("#clone-delete"), part(this.root, "clone-confirm")];
    show(button, !asking);
    show(box, asking);
    if (focus) (asking ? box.lastElementChild : button).focus();
  }

  remove() {
    return this.doing(async (id, voice) => {
      await api.removeClone(id);
      this.deleted = id;
      await this.changed();
      this.tell(`${voice.title} is deleted for good.`);
      this.root.querySelector("#clone-open").focus();
    });
  }
}
