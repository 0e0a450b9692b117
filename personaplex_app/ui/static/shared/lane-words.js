// Where the words of a lane go: one row for each side, in the order in which they are said. Only measures.

export const WORD_FONT = "500 12.5px system-ui, sans-serif";
const WORD_GAP_PX = 5;
const TURN_GAP_PX = 12;
// words that come so far behind their time are set narrower, until the row has caught up
const BEHIND_PX = 40;
const NARROW = 0.8;
const MOST_TURN_PX = 340;
const LEAST_TURN_PX = 60;

/**
 * Place every word at its time, or behind the one before it where speech is faster than the row: none covers another,
 * and none overtakes another.
 *
 * @param {CanvasRenderingContext2D} context measures the words
 * @param {import("./lane-data.js").Utterance[]} utterances
 * @param {number} pxPerS
 * @param {number} endPx where the row ends, Infinity where it goes on
 * @returns {?{text: string, x: number, width: number, speaker: string, final: boolean}[]} x in pixels from time zero;
 *   null where the row is too short for all of them
 */
export function layOutWords(context, utterances, pxPerS, endPx = Infinity) {
  context.font = WORD_FONT;
  const rows = ["user", "agent"].map((speaker) => rowOf(context, utterances, speaker, pxPerS));
  return rows.every((row) => pushedBack(row, endPx)) ? rows.flat() : null;
}

function rowOf(context, utterances, speaker, pxPerS) {
  const row = [];
  let free = 0;
  let narrow = false;
  for (const each of inOrder(utterances, speaker)) {
    let gap = row.length ? TURN_GAP_PX : 0;
    for (const [text, start_s] of timedWords(each)) {
      const at = start_s * pxPerS;
      const x = Math.max(at, free + gap);
      narrow = x - at > (narrow ? 0 : BEHIND_PX);
      const width = context.measureText(text).width * (narrow ? NARROW : 1);
      row.push({ text, x, width, gap, speaker, final: each.final !== false });
      free = x + width;
      gap = WORD_GAP_PX;
    }
  }
  return row;
}

/** Move what runs out at the end back into the row; false where it has no room for all. */
function pushedBack(row, endPx) {
  let limit = endPx;
  for (const word of [...row].reverse()) {
    if (word.x + word.width <= limit) return true;
    word.x = limit - word.width;
    limit = word.x - word.gap;
  }
  return !row.length || row[0].x >= 0;
}

function inOrder(utterances, speaker) {
  return utterances
    .filter((each) => each.speaker === speaker && each.text?.trim())
    .sort((a, b) => a.start_s - b.start_s);
}

/** An utterance's words with their times, spread over it where only the whole of it is known: [[text, start_s]]. */
function timedWords({ words, text, start_s, end_s }) {
  if (words?.length) return words.map(([word, at_s]) => [word.trim(), at_s]).filter(([word]) => word);
  return [...text.matchAll(/\S+/g)].map(({ 0: word, index }) => [
    word,
    start_s + ((end_s - start_s) * index) / text.length,
  ]);
}

/** Place whole utterances where single words have no room, within `endPx`; those without any room are left out. */
export function layOutTurns(context, utterances, pxPerS, endPx = Infinity) {
  context.font = WORD_FONT;
  return ["user", "agent"].flatMap((speaker) => {
    const placed = [];
    const turns = inOrder(utterances, speaker);
    let free = 0;
    turns.forEach(({ text, start_s }, i) => {
      const next = turns[i + 1]?.start_s * pxPerS || Infinity;
      // the last may begin a little early rather than not be shown
      const x = Math.max(free, Math.min(start_s * pxPerS, endPx - LEAST_TURN_PX));
      if (x > start_s * pxPerS) return;
      const room = Math.min(next, endPx) - x - (next < endPx ? TURN_GAP_PX : 0);
      const shown = shorten(context, text.trim(), Math.min(room, MOST_TURN_PX));
      if (!shown) return;
      const { width } = context.measureText(shown);
      placed.push({ text: shown, x, width, speaker, final: true });
      free = x + width + TURN_GAP_PX;
    });
    return placed;
  });
}

function shorten(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 3 && context.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1).trimEnd();
  return cut.length > 3 ? `${cut}…` : "";
}
