// The page's strings in the language that the server chose for it: ui/page_language.py puts them into the page.

const FILE = JSON.parse(document.querySelector("#strings")?.textContent ?? '{"page": {}, "server": []}');
const PLACE = /\{(\w+)\}/g;

/** The code of the page's language. */
export const LANGUAGE = document.documentElement.lang || "en";

const filled = (text, values) => text.replace(PLACE, (place, name) => values[name] ?? place);

/** The string of a key, with values in the places that its braces name. */
export const t = (key, values = {}) => filled(FILE.page[key] ?? key, values);

/** A number as the page's language writes it. */
export const asNumber = (value) => value.toLocaleString(LANGUAGE);

/** The string for `n` of something, of the keys KEY_one and KEY_other. */
export const count = (key, n) => t(`${key}_${n === 1 ? "one" : "other"}`, { n: asNumber(n) });

/** A sentence of the server's as a pattern, and the names of its changing parts. */
function pattern([english, here]) {
  const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const source = english.split(PLACE).map((piece, i) => (i % 2 ? "(.+)" : literal(piece)));
  const names = [...english.matchAll(PLACE)].map(([, name]) => name);
  return { whole: new RegExp(`^${source.join("")}$`, "s"), names, here };
}

const PATTERNS = FILE.server.map(pattern);

/** What the server says, in the page's language where that has it; its changing parts likewise. */
export function told(text) {
  for (const { whole, names, here } of text ? PATTERNS : []) {
    const found = whole.exec(text);
    if (!found) continue;
    return filled(here, Object.fromEntries(names.map((name, i) => [name, told(found[i + 1])])));
  }
  return text;
}

/** The language that the page shows such a text of the server in, which is in `own`. */
export const languageOf = (text, own = "en") => (told(text) === text ? own : LANGUAGE);
