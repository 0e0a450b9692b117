// The Sessions tab: this browser's talks, each with its lane; some at a time, since a lane needs its talk's sound read.

import * as api from "../shared/api.js";
import { button, h, notify, part, show } from "../shared/dom.js";
import { nameHost } from "../shared/host.js";
import { Recording, heading } from "../shared/recording.js";
import { t } from "../shared/strings.js";

const MOST_AT_ONCE = 12;

/** Called by Gradio's component. */
export function mount(element) {
  new SessionsPage(element.querySelector(".sessions"));
}

class SessionsPage {
  constructor(root) {
    this.root = root;
    nameHost(root);
    this.list = part(root, "list");
    this.cards = new Map();
    root.querySelector('[data-act="refresh"]').addEventListener("click", () => this.load());
    this.deleteAll = root.querySelector('[data-act="delete-all"]');
    this.deleteAll.addEventListener("click", () => this.askDeleteAll());
    // loaded each time the tab comes into view
    new IntersectionObserver((entries) => {
      const seen = entries.some((each) => each.isIntersecting);
      if (seen && !this.seen) this.load();
      if (!seen) this.pauseAll();
      this.seen = seen;
    }).observe(root);
  }

  tell(text) {
    notify(part(this.root, "notice"), text);
  }

  async load() {
    this.tell("");
    try {
      const talks = await api.talks();
      this.clear();
      this.rest = talks;
      await this.more();
    } catch (error) {
      this.tell(error.message);
    }
    this.showEmptiness();
  }

  async more() {
    this.moreButton?.remove();
    for (const summary of this.rest.splice(0, MOST_AT_ONCE)) {
      const card = h(
        "li",
        { class: "session", dataset: { talk: summary.id } },
        heading(summary, "h2"),
        h("p", { class: "hint" }, t("reading")),
      );
      this.list.append(card);
      await this.fill(card, summary);
    }
    if (!this.rest.length) return;
    this.moreButton = button(t("show_more", { n: this.rest.length }), { onclick: () => this.more() });
    this.list.after(this.moreButton);
  }

  async fill(card, summary) {
    try {
      const talk = await api.talk(summary.id);
      const recording = new Recording(talk, {
        small: true,
        ondeleted: () => this.deleted(summary.id, card),
        onchanged: () =>
          card.querySelector(".talk-heading").replaceWith(heading({ ...talk, kept: true }, "h2")),
      });
      this.cards.set(summary.id, recording);
      card.replaceChildren(heading(talk, "h2"), recording.element);
    } catch (error) {
      card.replaceChildren(heading(summary, "h2"), h("p", { class: "notice" }, error.message));
    }
  }

  deleted(id, card) {
    this.cards.delete(id);
    card.remove();
    this.tell(t("deleted"));
    this.showEmptiness();
    this.deleteAll.focus();
  }

  clear() {
    for (const recording of this.cards.values()) recording.destroy();
    this.cards.clear();
    this.moreButton?.remove();
    this.list.replaceChildren();
  }

  pauseAll() {
    for (const recording of this.cards.values()) recording.pause();
  }

  showEmptiness() {
    const some = this.list.childElementCount > 0;
    show(part(this.root, "empty"), !some);
    show(this.deleteAll, some);
    show(part(this.root, "actions"), true);
  }

  askDeleteAll() {
    const sure = button(t("delete_all_sure"), { dataset: { act: "delete-all-sure" } }, "danger");
    const no = button(t("leave_them"));
    const box = h("span", { class: "confirm" }, sure, no);
    this.deleteAll.replaceWith(box);
    no.focus();
    no.addEventListener("click", () => box.replaceWith(this.deleteAll));
    sure.addEventListener("click", async () => {
      box.replaceWith(this.deleteAll);
      try {
        await api.removeAll();
        await this.load();
        this.tell(t("all_deleted"));
      } catch (error) {
        this.tell(error.message);
      }
    });
  }
}
