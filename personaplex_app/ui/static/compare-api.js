// The server's side of comparing voices.

import { ask, json } from "./api.js";

const post = (path, body = {}) => json(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
const blob = async (path) => (await ask(path)).blob();

export const offer = () => json("/api/compare");
export const addRecording = (file, title) => json(`/api/compare/recordings?${new URLSearchParams({ title })}`, { method: "POST", body: file });
export const start = (asked) => post("/api/compare/runs", asked);
export const run = (id) => json(`/api/compare/runs/${id}`);
export const cancel = (id) => post(`/api/compare/runs/${id}/cancel`);
export const cell = (id, row, column) => json(`/api/compare/runs/${id}/cells/${row}/${column}`);
export const cellSound = (id, row, column, channels) => blob(`/api/compare/runs/${id}/cells/${row}/${column}/${channels}.wav`);
export const makeTest = (id) => post(`/api/compare/runs/${id}/test`);
export const test = (id) => json(`/api/compare/tests/${id}`);
export const begin = (id, trials) => post(`/api/compare/tests/${id}/begin`, { trials });
export const lanes = (id, token) => json(`/api/compare/tests/${id}/trials/${token}`);
export const trialSound = (id, token, side) => blob(`/api/compare/tests/${id}/trials/${token}/${side}.wav`);
export const vote = (id, ballot) => post(`/api/compare/tests/${id}/vote`, ballot);
export const undo = (id) => post(`/api/compare/tests/${id}/undo`);
export const reveal = (id) => post(`/api/compare/tests/${id}/reveal`);
export const results = (id) => json(`/api/compare/tests/${id}/results`);
export const exported = (id, kind) => blob(`/api/compare/tests/${id}/export.${kind}`);
