// The server's side of cloning voices.

import { ask, json } from "../shared/api.js";

/** Send a file with fields in the address; the server wants its flags as 0 or 1. */
function upload(path, file, { consent, keep = false, ...fields }) {
  const query = new URLSearchParams({ ...fields, consent: Number(consent), keep: Number(keep) });
  return json(`${path}?${query}`, { method: "POST", body: file });
}

/** The caller's voices, and the limits of making one. */
export const list = () => json("/api/clones");
/** What would be picked of a recording: peaks, peaks_per_s, spans_s, picked_s, recording_s, loudness_lufs, wav. */
export const preview = (recording, consent) => upload("/api/clones/preview", recording, { consent });
/** Make a voice of a recording; `fields` are consent, name, keep. */
export const make = (recording, fields) => upload("/api/clones", recording, fields);
/** Take a voice that was exported; `fields` as for `make`. */
export const importVoice = (voiceFile, fields) => upload("/api/clones/import", voiceFile, fields);
export const keep = (id) => ask(`/api/clones/${id}/keep`, { method: "POST" });
export const exported = async (id) => (await ask(`/api/clones/${id}/export.safetensors`)).blob();
export const remove = (id) => ask(`/api/clones/${id}`, { method: "DELETE" });
