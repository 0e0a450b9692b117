// The server's side of comparing voices. A run is one comparison's rendering, a test the blind test of its answers.

import { ask, json, postJson } from "../shared/api.js";

const post = async (path, fields) => (await postJson(path, fields)).json();
const blob = async (path) => (await ask(path)).blob();

/** What can be compared: scenarios, their kinds with titles, limits, reasons, usual_trials. */
export const offer = () => json("/api/compare");
/** Bring one's own recording: id, title, duration_s. */
export const addRecording = (recording, title) =>
  json(`/api/compare/recordings?${new URLSearchParams({ title })}`, { method: "POST", body: recording });

/** Render; `asked` is inputs, persona, voices, seeds, and perhaps room_s and engine. */
export const start = (asked) => post("/api/compare/runs", asked);
export const run = (id) => json(`/api/compare/runs/${id}`);
export const cancel = (id) => post(`/api/compare/runs/${id}/cancel`);
/** One answer: lane, text, words, turns, turn_latency_s, rtf. */
export const cell = (id, row, column) => json(`/api/compare/runs/${id}/cells/${row}/${column}`);
/** Its sound; `channels` is "both" or "agent". */
export const cellSound = (id, row, column, channels) =>
  blob(`/api/compare/runs/${id}/cells/${row}/${column}/${channels}.wav`);

export const makeTest = (runId) => post(`/api/compare/runs/${runId}/test`);
/** Where this listener is: phase, and with it trial, done, total, can_undo or reveal. */
export const test = (id) => json(`/api/compare/tests/${id}`);
/** Begin a round that goes on for as long as one likes. */
export const begin = (id) => post(`/api/compare/tests/${id}/begin`, { endless: true });
/** The standings so far without names. */
export const board = (id) => json(`/api/compare/tests/${id}/board`);
/** Both sides of a trial as lanes, and its question as text; `token` is the trial's. */
export const lanes = (id, token) => json(`/api/compare/tests/${id}/trials/${token}`);
export const trialSound = (id, token, side) => blob(`/api/compare/tests/${id}/trials/${token}/${side}.wav`);
/** The sound of what both sides answer. */
export const questionSound = (id, token) => trialSound(id, token, "question");
/** Vote; `ballot` is token, choice, heard_s, plays, reasons, comment. */
export const vote = (id, ballot) => post(`/api/compare/tests/${id}/vote`, ballot);
export const undo = (id) => post(`/api/compare/tests/${id}/undo`);
export const reveal = (id) => post(`/api/compare/tests/${id}/reveal`);
export const results = (id) => json(`/api/compare/tests/${id}/results`);
export const exported = (id, kind) => blob(`/api/compare/tests/${id}/export.${kind}`);
