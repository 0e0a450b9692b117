// A person's cloned voices among the others: made in a dialog; the chosen one is kept, exported and deleted here.

import { h, notify, part, saveAs, show } from "../shared/dom.js";
import { hostText } from "../shared/host.js";
import { t } from "../shared/strings.js";
import * as api from "./clone-api.js";
import { CloneDialog } from "./clone-dialog.js";

export class VoiceClones {
  /**
   * @param {HTMLElement} root
   * @param {(name?: string) => Promise<void>} changed called when the voices are others; `name` is the one to choose
   */
  constructor(root, changed) {
    this.root = part(root, "clone");
    this.changed = changed;
    this.voice = null;
    const made = async (voice) => {
      await this.changed(voice.name);
      this.tell(t("clone_done", { voice: voice.title }));
    };
    this.dialog = new CloneDialog(root, made, (text) => this.tell(text));
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
    this.dialog.offer(can);
    const lost = this.voice && !voices.has(this.voice.name) ? this.voice : null;
    if (lost && lost.clone.id !== this.deleted) {
      this.tell(can ? t("clone_gone", { voice: lost.title }) : "");
    }
  }

  /** Show what can be done with the chosen voice, where it is a cloned one. */
  choose(voice) {
    this.voice = voice?.clone ? voice : null;
    show(part(this.root, "clone-chosen"), Boolean(this.voice));
    if (!this.voice) return;
    const fate = voice.clone.kept ? hostText("clone_kept") : t("clone_passing");
    part(this.root, "clone-fate").replaceChildren(h("b", {}, voice.title), ` ${fate}`);
    show(this.root.querySelector("#clone-keep-chosen"), !voice.clone.kept);
    this.askDelete(false, false);
  }

  tell(text) {
    notify(part(this.root, "clone-notice"), text);
  }

  /** Do something with the chosen voice; what goes wrong is told. */
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
      await api.keep(id);
      await this.changed(voice.name);
      this.tell(t("clone_is_kept", { voice: voice.title }));
      this.root.querySelector("#clone-export").focus();
    });
  }

  exportIt() {
    return this.doing(async (id, voice) => {
      const name = voice.title.replace(/[^\p{L}\p{N}]+/gu, "-");
      saveAs(await api.exported(id), `${name}.safetensors`);
    });
  }

  askDelete(asking, focus = true) {
    const button = this.root.querySelector("#clone-delete");
    const box = part(this.root, "clone-confirm");
    show(button, !asking);
    show(box, asking);
    if (focus) (asking ? box.lastElementChild : button).focus();
  }

  remove() {
    return this.doing(async (id, voice) => {
      await api.remove(id);
      this.deleted = id;
      await this.changed();
      this.tell(t("clone_deleted", { voice: voice.title }));
      this.root.querySelector("#clone-open").focus();
    });
  }
}
