// A link that opens the page with a role chosen. Persona, voice and language stand in its query. A role prompt of
// one's own stands in its fragment, which browsers keep to themselves: no server and no log gets to see it.

import { part, say } from "../shared/dom.js";
import { LANGUAGE, t } from "../shared/strings.js";

export class RoleLink {
  /** @param {import("./setup.js").Setup} setup where a role is chosen */
  constructor(root, setup) {
    this.root = root;
    this.setup = setup;
    this.wanted = roleIn(location); // what is still to be chosen of it
    part(root, "share-role").addEventListener("click", () => this.share());
  }

  /** Choose what the page's address asks for, each part once: a voice may come later, with another engine. */
  follow({ stage }) {
    const { setup, wanted } = this;
    if (setup.personas.has(wanted.persona)) {
      setup.choosePersona(wanted.persona);
      wanted.persona = null;
    }
    if (setup.voices.has(wanted.voice)) {
      setup.chooseVoice(wanted.voice);
      wanted.voice = null;
    }
    if (wanted.prompt && !setup.prompt.disabled) {
      setup.setPrompt(wanted.prompt);
      wanted.prompt = null;
    }
    const missing = ["persona", "voice"].filter((kind) => stage === "ready" && wanted[kind]);
    if (missing.length) this.tell(missing.map((kind) => t(`link_no_${kind}`)).join(" "));
  }

  /** Put a link to the role that is chosen where it can be pasted. */
  async share() {
    const { persona, voice, clones, prompt } = this.setup;
    const role = {
      persona: persona.value,
      voice: clones.voice ? "" : voice.value, // nobody else has a cloned voice
      prompt: this.setup.edited() ? prompt.value.trim() : "",
      language: LANGUAGE === "en" ? "" : LANGUAGE, // without it, who opens the link reads their own
    };
    const link = roleLink(location.href, role);
    try {
      await navigator.clipboard.writeText(link);
      this.tell(t("share_copied"));
    } catch {
      // a page that is no secure context, or stands in a frame, may not write there
      this.tell(link);
    }
  }

  tell(text) {
    say(part(this.root, "share-told"), text);
  }
}

/**
 * The role that an address asks for.
 *
 * @returns {{persona: ?string, voice: ?string, prompt: ?string}} null for what it does not name
 */
export function roleIn({ search, hash }) {
  const query = new URLSearchParams(search);
  const prompt = query.get("prompt") ?? new URLSearchParams(hash.slice(1)).get("prompt");
  return { persona: query.get("persona"), voice: query.get("voice"), prompt };
}

/**
 * The address of a page with a role chosen.
 *
 * @param {string} page its address now
 * @param {{persona: string, voice: string, prompt: string, language: string}} role "" for what the link does not name
 */
export function roleLink(page, { persona, voice, prompt, language = "" }) {
  const url = new URL(page);
  url.search = new URLSearchParams(Object.entries({ persona, voice, language }).filter(([, name]) => name));
  url.hash = prompt ? new URLSearchParams({ prompt }) : "";
  return url.href;
}
