// Draws a lane: the user's sound above the axis, the agent's below, words at their times, events where they happen.
// Only canvas calls.

const BAR_PX = 2;
const BAR_GAP_PX = 1;
const WORD_FONT = "500 12.5px system-ui, sans-serif";
const SMALL_FONT = "11px ui-monospace, monospace";
const RUN_ON_PX = 56;
const WORD_GAP_PX = 5;
const ROW_PX = 18; // a row of words
const MARK_PX = 15; // a strip for the names of events, between the sound and the words
const NAMES = { interruption: "interrupts", backchannel: "mm-hm", overlap: "both" };

/**
 * Place words so that none covers another: [{text, x, row, speaker, final}], x in pixels from time zero. Text runs on
 * in one row for as long as it stays near its time; fast speech goes on in the other row. No word is left out.
 */
export function layOutWords(context, utterances, pxPerS, rows) {
  context.font = WORD_FONT;
  const placed = [];
  const ends = { user: new Array(rows).fill(-Infinity), agent: new Array(rows).fill(-Infinity) };
  const current = { user: 0, agent: 0 };
  for (const utterance of utterances) {
    const side = ends[utterance.speaker];
    if (!side) continue;
    for (const [text, start_s] of timedWords(utterance)) {
      const x = start_s * pxPerS;
      let row = current[utterance.speaker];
      if (side[0] <= x && side[row] + RUN_ON_PX < x) row = 0;
      else if (side[row] - x > RUN_ON_PX) row = side.indexOf(Math.min(...side));
      const at = Math.max(x, side[row]);
      placed.push({ text, x: at, row, speaker: utterance.speaker, final: utterance.final !== false });
      side[row] = at + context.measureText(text).width + WORD_GAP_PX;
      current[utterance.speaker] = row;
    }
  }
  return placed;
}

/** An utterance's words, or all its text as one where their times are not known: [[text, start_s, end_s]]. */
function timedWords({ words, text, start_s, end_s }) {
  if (words?.length) return words;
  return text ? [[text, start_s, end_s]] : [];
}

/** Place whole utterances where single words have no room, within `endPx`. */
export function layOutTurns(context, utterances, pxPerS, endPx = Infinity) {
  context.font = WORD_FONT;
  const placed = [];
  const ends = { user: -Infinity, agent: -Infinity };
  const sorted = [...utterances].filter((each) => each.text).sort((a, b) => a.start_s - b.start_s);
  sorted.forEach((each, i) => {
    const x = each.start_s * pxPerS;
    if (x < ends[each.speaker]) return;
    const next = sorted.slice(i + 1).find((other) => other.speaker === each.speaker);
    const room = Math.min((next ? next.start_s : Infinity) * pxPerS, endPx) - x - 10;
    const text = shorten(context, each.text, Math.min(room, 340));
    if (!text) return;
    placed.push({ text, x, row: 0, speaker: each.speaker, final: true });
    ends[each.speaker] = x + context.measureText(text).width + 10;
  });
  return placed;
}

function shorten(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 3 && context.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1).trimEnd();
  return cut.length > 3 ? `${cut}…` : "";
}

/**
 * Draw one picture.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {LaneData} data
 * @param {object} view width and height in CSS pixels, from_s, pxPerS, words, rows, small, muted; now_s, playhead_s
 *   and hover_s, each of which may be null
 * @param {object} ink a colour by name: text, faint, line, user, agent, userText, agentText, overlap
 */
export function drawLane(context, data, view, ink) {
  const { width, height } = view;
  context.clearRect(0, 0, width, height);
  const wordsPx = view.small ? 0 : 6 + view.rows * ROW_PX;
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
  for (const mark of data.marks) if (mark.kind !== "overlap") drawMark(context, mark, view, ink, axis, half);
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
  for (let t = Math.max(0, Math.ceil(view.from_s / step) * step); t <= to_s; t += step) {
    const x = Math.round((t - view.from_s) * view.pxPerS);
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

function drawMark(context, mark, view, ink, axis, half) {
  const x = (mark.start_s - view.from_s) * view.pxPerS;
  if (x < -80 || x > view.width + 80) return;
  const up = mark.speaker === "user";
  const colour = up ? ink.user : ink.agent;
  context.fillStyle = colour;
  context.strokeStyle = colour;
  if (mark.kind === "interruption") {
    // a stroke from the one who speaks up through the other's lane
    context.fillRect(Math.round(x) - 1, axis - half, 2, half * 2);
    const tip = up ? axis + half : axis - half;
    context.beginPath();
    context.moveTo(x - 5, tip - (up ? 7 : -7));
    context.lineTo(x + 5, tip - (up ? 7 : -7));
    context.lineTo(x, tip);
    context.fill();
  } else {
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x + 5, strip(axis, half, up ? -1 : 1, view), view.small ? 3 : 4, 0, 2 * Math.PI);
    context.stroke();
  }
  if (view.small) return;
  context.font = SMALL_FONT;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = ink.text;
  // an interruption is named where it ends: in the lane of the one who was interrupted
  const interrupts = mark.kind === "interruption";
  const below = interrupts ? up : !up;
  const y = strip(axis, half, below ? 1 : -1, view);
  context.fillText(NAMES[mark.kind] ?? mark.kind, x + (interrupts ? 7 : 13), y);
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
    if (x > view.width || x < -360) continue;
    const user = word.speaker === "user";
    const away = half + MARK_PX + ROW_PX / 2 + word.row * ROW_PX;
    const colour = user ? ink.userText : ink.agentText;
    context.fillStyle = word.final ? colour : ink.faint;
    context.fillText(word.text, x, user ? axis - away : axis + away);
  }
}
