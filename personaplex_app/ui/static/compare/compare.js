// The Compare tab: what is compared, how far it is, and the way from there to the blind test and its results.

import { status } from "../shared/api.js";
import { notify, part, show } from "../shared/dom.js";
import { Answers } from "./answers.js";
import { BlindTest } from "./blind-test.js";
import { Choice } from "./choice.js";
import * as api from "./compare-api.js";
import { Results } from "./results.js";

const KEY = "personaplex.compare";
const VIEWS = ["choose", "run", "blind", "results"];

/** Called by Gradio's component; `trigger` asks the platform for a GPU in the visitor's name. */
export function mount(element, props, watch, trigger) {
  new ComparePage(element.querySelector(".compare"), trigger);
}

class ComparePage {
  constructor(root, trigger) {
    this.root = root;
    this.choice = new Choice(
      root,
      (asked) => this.render(asked),
      (text) => this.tell(text),
    );
    this.answers = new Answers(part(root, "run"), {
      back: () => this.show("choose"),
      again: (asked) => this.render(asked),
      blind: (id) => this.openTest(id),
      tell: (text) => this.tell(text),
      lease: (token) => trigger("submit", { lease: token }),
    });
    this.blind = new BlindTest(part(root, "blind"), {
      back: () => this.leave(),
      results: (id) => this.openResults(id),
      tell: (text) => this.tell(text),
    });
    this.results = new Results(part(root, "results"), {
      back: () => this.leave(),
      again: (id) => this.openTest(id),
      tell: (text) => this.tell(text),
    });
    for (const view of [this.answers, this.blind, this.results]) {
      view.title = (kind, name) => this.choice.title(kind, name);
    }
    // loaded when the tab comes into view
    new IntersectionObserver((entries) => {
      const seen = entries.some((each) => each.isIntersecting);
      if (seen && !this.seen) this.load();
      if (!seen) this.answers.hush();
      if (!seen) this.blind.hush();
      this.seen = seen;
    }).observe(root);
    document.addEventListener(
      "keydown",
      (event) => this.view === "blind" && root.offsetParent !== null && this.blind.key(event),
    );
  }

  tell(text) {
    const notice = part(this.root, "notice");
    notify(notice, text);
    if (text) notice.scrollIntoView({ block: "nearest" });
  }

  show(view) {
    this.tell("");
    this.view = this.root.dataset.view = view;
    for (const each of VIEWS) show(part(this.root, each), each === view);
    this.answers.hush();
    if (view !== "blind") this.blind.hush();
    this.root.scrollIntoView({ block: "start" });
  }

  async load() {
    try {
      const [offer, now] = await Promise.all([api.offer(), status()]);
      this.choice.fill(offer, now);
      this.answers.beside = now.lease?.beside;
      this.blind.offer(offer);
      if (!this.loaded) await this.resume();
      this.loaded = true;
    } catch (error) {
      this.tell(error.message);
    }
  }

  /** Go on where a reload interrupted: a test that somebody's link names, one's own round, or the rendering. */
  async resume() {
    const known = remembered();
    const test = linkedTest() ?? known.test;
    let lost = "";
    try {
      if (known.run) await this.answers.open(known.run, known.asked);
    } catch (error) {
      if (error.status !== 404) throw error;
      // the server was started anew: what was rendered of its own scenarios is in its cache, own recordings are not
      const again = await api.start(known.asked).catch((reason) => {
        lost = reason.message;
      });
      remember({ ...known, run: again?.id ?? null });
      if (again) await this.answers.open(again.id, known.asked);
    }
    if (test) await this.openTest(test);
    else if (this.answers.id) this.show("run");
    else this.tell(lost);
  }

  async render(asked) {
    this.tell("");
    try {
      const run = await api.start(asked);
      remember({ run: run.id, asked, test: null });
      await this.answers.open(run.id, asked);
      this.show("run");
    } catch (error) {
      this.tell(error.message);
    }
  }

  async openTest(id) {
    try {
      remember({ ...remembered(), test: id });
      const state = await this.blind.open(id);
      if (state.phase === "revealed") return await this.openResults(id);
      this.show("blind");
    } catch (error) {
      remember({ ...remembered(), test: null });
      this.show(this.answers.id ? "run" : "choose");
      this.tell(error.message);
    }
    return null;
  }

  async openResults(id) {
    await this.results.open(id);
    this.show("results");
  }

  leave() {
    remember({ ...remembered(), test: null });
    this.show(this.answers.id ? "run" : "choose");
  }
}

/** The blind test that the page's address names, or null. */
function linkedTest() {
  return new URL(window.location.href).searchParams.get("compare");
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

function remember(what) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(what));
  } catch {
    // storage refused: a reload begins anew
  }
}
