// Draws a lane: the user's sound above the axis, the agent's below, words at their times, events where they happen.
// Only canvas calls.

import { WORD_FONT } from "./lane-words.js";
import { t } from "./strings.js";

const BAR_PX = 2;
const BAR_GAP_PX = 1;
const SMALL_FONT = "11px ui-monospace, monospace";
const ROW_PX = 18; // a row of words
const MARK_PX = 15; // a strip for the names of events, between the sound and the words

/**
 * Draw one picture.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {LaneData} data
 * @param {object} view width and height in CSS pixels, from_s, pxPerS, words, small, muted; now_s, playhead_s and
 *   hover_s, each of which may be null
 * @param {object} ink a colour by name: text, faint, line, user, agent, userText, agentText, overlap
 */
export function drawLane(context, data, view, ink) {
  const { width, height } = view;
  context.clearRect(0, 0, width, height);
  const wordsPx = view.small ? 0 : 6 + ROW_PX;
  const axis = Math.round(height / 2);
  const half = axis - wordsPx - (view.small ? 3 : MARK_PX);
  const to_s = view.from_s + width / view.pxPerS;
  drawAxis(context, view, ink, axis, to_s);
  for (const mark of data.marks) {
    if (mark.kind === "overlap") drawOverlap(context, mark, view, ink, axis, half);
  }
  drawSide(context, data.user, -1, ink.user, view, axis, half);
  drawSide(context, data.agent, 1, ink.agent, view, axis, half);
  if (view.now_s !== null) drawNow(context, view, ink, axis, half);
  drawEvents(context, data.marks, view, ink, axis, half);
  if (!view.small) drawWords(context, view, ink, axis, half);
  for (const [at, colour, wide] of [
    [view.hover_s, ink.faint, 1],
    [view.playhead_s, ink.text, 2],
  ]) {
    if (at === null || at === undefined) continue;
    context.fillStyle = colour;
    context.fillRect(Math.round((at - view.from_s) * view.pxPerS) - wide / 2, 2, wide, height - 4);
  }
}

function drawAxis(context, view, ink, axis, to_s) {
  context.fillStyle = ink.line;
  context.fillRect(0, axis - 0.5, view.width, 1);
  if (view.small) return;
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
  const step = steps.find((each) => each * view.pxPerS >= 64) ?? 600;
  context.font = SMALL_FONT;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let at_s = Math.max(0, Math.ceil(view.from_s / step) * step); at_s <= to_s; at_s += step) {
    const x = Math.round((at_s - view.from_s) * view.pxPerS);
    context.fillStyle = ink.line;
    context.fillRect(x, axis - 4, 1, 8);
  }
}

function drawSide(context, envelope, sign, colour, view, axis, half) {
  const pitch = BAR_PX + BAR_GAP_PX;
  const secondsPerBar = pitch / view.pxPerS;
  // bars keep their place in time while the axis moves under them
  const first = Math.max(0, Math.floor(view.from_s / secondsPerBar));
  const last = Math.ceil((view.from_s + view.width / view.pxPerS) / secondsPerBar);
  context.fillStyle = colour;
  context.beginPath();
  for (let i = first; i <= last; i++) {
    const peak = envelope.most(i * secondsPerBar, (i + 1) * secondsPerBar);
    if (peak <= 0.002) continue;
    // loudness as heard: quiet speech stays visible
    const tall = Math.max(1.5, Math.min(1, peak ** 0.6 * 1.15) * half);
    const x = i * pitch - view.from_s * view.pxPerS;
    context.rect(x, sign < 0 ? axis - 2 - tall : axis + 2, BAR_PX, tall);
  }
  context.fill();
}

function drawOverlap(context, mark, view, ink, axis, half) {
  const x = (mark.start_s - view.from_s) * view.pxPerS;
  const wide = Math.max(2, (mark.end_s - mark.start_s) * view.pxPerS);
  if (x > view.width || x + wide < 0) return;
  context.fillStyle = ink.overlap;
  context.fillRect(x, axis - half, wide, half * 2);
}

/** Interruptions and backchannels, each with its name where that covers nothing else. */
function drawEvents(context, marks, view, ink, axis, half) {
  const at = (mark) => (mark.start_s - view.from_s) * view.pxPerS;
  const shown = marks
    .filter((mark) => mark.kind !== "overlap" && at(mark) > -80 && at(mark) < view.width + 80)
    .sort((a, b) => b.start_s - a.start_s);
  // where the next thing in each strip begins, above and below
  const next = { "-1": Infinity, 1: Infinity };
  if (view.now_s === null) next[-1] = next[1] = view.width;
  for (const mark of shown) {
    const x = at(mark);
    const interrupts = mark.kind === "interruption";
    // an interruption is named where it ends: in the lane of the one who was interrupted
    const sign = (mark.speaker === "user") === interrupts ? 1 : -1;
    const y = strip(axis, half, sign, view);
    context.fillStyle = context.strokeStyle = mark.speaker === "user" ? ink.user : ink.agent;
    if (interrupts) drawStroke(context, x, sign, axis, half);
    else drawRing(context, x, y, view.small);
    const nameX = x + (interrupts ? 7 : 13);
    if (!view.small) drawName(context, t(`mark_${mark.kind}`), nameX, next[sign], ink, y);
    next[sign] = x;
  }
}

/** A stroke from the one who speaks through the other's lane. */
function drawStroke(context, x, sign, axis, half) {
  context.fillRect(Math.round(x) - 1, axis - half, 2, half * 2);
  const tip = axis + sign * half;
  context.beginPath();
  context.moveTo(x - 5, tip - sign * 7);
  context.lineTo(x + 5, tip - sign * 7);
  context.lineTo(x, tip);
  context.fill();
}

function drawRing(context, x, y, small) {
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x + 5, y, small ? 3 : 4, 0, 2 * Math.PI);
  context.stroke();
}

function drawName(context, name, x, end, ink, y) {
  context.font = SMALL_FONT;
  if (x + context.measureText(name).width + 4 > end) return;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = ink.text;
  context.fillText(name, x, y);
}

/** The height of the strip for events; `sign` is -1 above the axis and 1 below. */
function strip(axis, half, sign, view) {
  return axis + sign * (view.small ? half * 0.7 : half + MARK_PX / 2);
}

function drawNow(context, view, ink, axis, half) {
  const x = Math.round((view.now_s - view.from_s) * view.pxPerS);
  context.fillStyle = ink.faint;
  context.fillRect(x, axis - half, 1, half * 2);
  context.beginPath();
  context.fillStyle = view.muted ? ink.faint : ink.user;
  context.arc(x + 0.5, axis - half, 3.5, 0, 2 * Math.PI);
  context.fill();
}

function drawWords(context, view, ink, axis, half) {
  context.font = WORD_FONT;
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const word of view.words) {
    const x = word.x - view.from_s * view.pxPerS;
    if (x > view.width || x + word.width < 0) continue;
    const user = word.speaker === "user";
    const away = half + MARK_PX + ROW_PX / 2;
    const colour = user ? ink.userText : ink.agentText;
    context.fillStyle = word.final ? colour : ink.faint;
    // narrower than it is by itself where the row must catch up
    context.fillText(word.text, x, user ? axis - away : axis + away, word.width);
  }
}
