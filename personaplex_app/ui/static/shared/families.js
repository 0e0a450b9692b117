// Personas and voices come in families; lists and galleries show them so.

import { h } from "./dom.js";
import { languageOf, told } from "./strings.js";
import { roleSpeaks } from "./texts.js";

/**
 * Group items by their `family`, both in the order in which they come: [[family, members], …].
 *
 * @template {{family: string}} T
 * @param {T[]} items
 * @returns {[string, T[]][]}
 */
export function byFamily(items) {
  const families = new Map();
  for (const each of items) families.set(each.family, [...(families.get(each.family) ?? []), each]);
  return [...families];
}

/**
 * A titled group of cards for each family.
 *
 * @param {{family: string}[]} items
 * @param {(item: object, place: number) => HTMLElement} card makes one; `place` is its place in its family
 */
export function familyCards(items, card) {
  return byFamily(items).map(([name, members]) => {
    const family = told(name);
    const cards = h("div", { class: "cards" }, members.map(card));
    return h(
      "div",
      { class: "family", role: "group", "aria-label": family },
      h("p", { class: "family-title", "aria-hidden": "true" }, family),
      cards,
    );
  });
}

/** What a card says of a persona or a voice: its title, what else there is to say, which language it speaks. */
export function cardTexts({ title, language }, text) {
  const lang = language && languageOf(title, language);
  return [h("b", { lang }, told(title)), h("small", { lang }, told(text)), spoken(language)];
}

/** Which language a role speaks, where that is another than the page's. */
export function spoken(language) {
  const text = language && roleSpeaks(language);
  return text && h("small", { class: "speaks" }, text);
}

/** The options of a select, in a group for each family. Items have a name, a title and a family. */
export function familyOptions(items) {
  const option = ({ name, title, language }) => {
    const lang = language && languageOf(title, language);
    return h("option", { value: name, lang }, told(title));
  };
  return byFamily(items).map(([family, members]) =>
    h("optgroup", { label: told(family) }, members.map(option)),
  );
}
