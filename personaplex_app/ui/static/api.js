// The server's HTTP side as the page uses it: status, and this browser's own talks.

const KEY_NAME = "personaplex.owner";

/** The path under which the app is served: of Gradio's root, never its host. */
export const base = new URL(window.gradio_config?.root || ".", window.location.href).pathname.replace(/\/$/, "");

export const folder = new URL(".", import.meta.url).href.replace(/\/$/, "");

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
  return Array.from(crypto.getRandomValues(new Uint8Array(24)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(base + path, { cache: "no-store", ...options, headers: { "X-Owner-Key": ownerKey(), ...options.headers } });
  } catch {
    throw new Error("The server cannot be reached. Check that it runs, and your connection; then try again.");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(said.message || `The server answered ${answer.status}.`), { status: answer.status });
}

export const json = async (path, options) => (await ask(path, options)).json();

export const status = () => json("/voice/status");
export const talks = async () => (await json("/api/sessions")).talks;
export const talk = (id) => json(`/api/sessions/${id}`);
export const exported = async (id, form) => (await ask(`/api/sessions/${id}/export.${form}`)).blob();
export const file = async (path) => (await ask(path)).blob();
export const keep = (id) => ask(`/api/sessions/${id}/keep`, { method: "POST" });
export const remove = (id) => ask(`/api/sessions/${id}`, { method: "DELETE" });
export const removeAll = () => ask("/api/sessions", { method: "DELETE" });

const asked = (path, fields) => `${path}?${new URLSearchParams({ ...fields, consent: Number(fields.consent), keep: Number(fields.keep ?? false) })}`;

export const clones = () => json("/api/clones");
export const previewClone = (file, consent) => json(asked("/api/clones/preview", { consent }), { method: "POST", body: file });
export const makeClone = (file, fields) => json(asked("/api/clones", fields), { method: "POST", body: file });
export const importClone = (file, fields) => json(asked("/api/clones/import", fields), { method: "POST", body: file });
export const keepClone = (id) => ask(`/api/clones/${id}/keep`, { method: "POST" });
export const exportedClone = async (id) => (await ask(`/api/clones/${id}/export.safetensors`)).blob();
export const removeClone = (id) => ask(`/api/clones/${id}`, { method: "DELETE" });

export function rate(id, stars, comment) {
  const body = JSON.stringify({ stars, comment });
  return ask(`/api/sessions/${id}/rating`, { method: "POST", body, headers: { "Content-Type": "application/json" } });
}
