// What a key pressed on the page means to a talk, and that it does.

const TYPED_INTO = "textarea, select, input:not([type=radio], [type=checkbox]), [contenteditable=true]";
const PRESSED_BY_SPACE = "button, a, summary, input, [role=slider], [role=tab]";

/** Whether a space bar pressed there means the page, and neither a field nor a button. */
export function forThePage({ target }) {
  return !target.closest?.(`${TYPED_INTO}, ${PRESSED_BY_SPACE}`);
}

/**
 * Return "start", "stop", "mute", or null for a key that is meant for something else.
 *
 * @param {KeyboardEvent} event
 */
function keyMeaning(event) {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return null;
  const within = (selector) => Boolean(event.target.closest?.(selector));
  if (within(TYPED_INTO)) return null;
  if (event.key === " ") return forThePage(event) ? "start" : null;
  if (event.key === "Escape") return "stop";
  return event.key.toLowerCase() === "m" ? "mute" : null;
}

/**
 * Start, stop and mute by keys.
 *
 * @param {object} page the Talk tab
 */
export function obeyKeys(page) {
  document.addEventListener("keydown", (event) => {
    // another tab of the page is in view
    if (page.root.offsetParent === null) return;
    const meaning = keyMeaning(event);
    if (meaning === "start" && !page.stage.busy) {
      event.preventDefault();
      page.start();
    } else if (meaning === "stop" && page.stage.busy) {
      page.stop();
    } else if (meaning === "mute" && page.state === "live") {
      page.mute(!page.muted);
    }
  });
}
