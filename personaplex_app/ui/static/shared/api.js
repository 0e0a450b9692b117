// The server's HTTP side as the page uses it: status, and this browser's own talks.

import { LANGUAGE, t, told } from "./strings.js";

const KEY_NAME = "personaplex.owner";
const ANSWER_PATIENCE_MS = 8000;

/** The path under which the app is served: of Gradio's root, never its host. */
export const base = new URL(window.gradio_config?.root || ".", window.location.href).pathname.replace(
  /\/$/,
  "",
);

let memoryKey = null;

/** The random key that makes talks this browser's own; nobody else ever sees it. */
export function ownerKey() {
  try {
    const known = localStorage.getItem(KEY_NAME);
    if (known?.length >= 32) return known;
    localStorage.setItem(KEY_NAME, (memoryKey ??= randomKey()));
  } catch {
    // storage refused: the key lasts as long as the page
  }
  return (memoryKey ??= randomKey());
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(24)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/**
 * Ask the server as this browser; returns the response. Throws an Error whose message is a sentence to show, with the
 * HTTP `status` where there was an answer.
 */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(base + path, {
      cache: "no-store",
      ...options,
      headers: { "X-Owner-Key": ownerKey(), ...options.headers },
    });
  } catch {
    throw new Error(t("unreachable_now"));
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const error = new Error(told(said.message) || t("answered", { status: answer.status }));
  throw Object.assign(error, { status: answer.status });
}

/** A line that has gone silent must not hold up what is asked again and again. */
const patient = () => ({ signal: AbortSignal.timeout(ANSWER_PATIENCE_MS) });

/** Ask for JSON; as `ask`. */
export const json = async (path, options) => (await ask(path, options)).json();

/** Post an object as JSON; as `ask`. */
export function postJson(path, fields = {}) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", body: JSON.stringify(fields), headers });
}

/** The engine, its voices and personas, limits: what the whole page is made from. */
export const status = () => json("/voice/status", patient());
export const talks = async () => (await json("/api/sessions")).talks;
export const talk = (id) => json(`/api/sessions/${id}`, patient());
/** A talk as a file of the form wav, flac, txt, srt or json, as a Blob. */
export const exported = async (id, form) =>
  (await ask(`/api/sessions/${id}/export.${form}?language=${LANGUAGE}`)).blob();
export const file = async (path) => (await ask(path)).blob();
export const keep = (id) => ask(`/api/sessions/${id}/keep`, { method: "POST" });
export const remove = (id) => ask(`/api/sessions/${id}`, { method: "DELETE" });
export const removeAll = () => ask("/api/sessions", { method: "DELETE" });

/** Rate a talk with 1 to 5 stars. */
export const rate = (id, stars, comment) => postJson(`/api/sessions/${id}/rating`, { stars, comment });
