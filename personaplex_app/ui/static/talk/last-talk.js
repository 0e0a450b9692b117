// The last talk: its id outlives a reload, its recording is there once the server has closed it.

import { talk as fetchTalk } from "../shared/api.js";

const KEY = "personaplex.live";
const POLL_MS = 700;

// where storage is refused, a reload finds the talk under Sessions
function trying(work) {
  try {
    return work();
  } catch {
    return null;
  }
}

export const remember = (id) => id && trying(() => sessionStorage.setItem(KEY, id));
export const remembered = () => trying(() => sessionStorage.getItem(KEY));
export const forget = () => trying(() => sessionStorage.removeItem(KEY));

/**
 * Wait for a talk's recording; returns the talk, or null when it is gone, not there in time or not wanted any more.
 *
 * @param {string} id
 * @param {number} patience_ms
 * @param {() => boolean} wanted
 */
export async function finished(id, patience_ms, wanted) {
  const deadline = performance.now() + patience_ms;
  while (wanted()) {
    try {
      const talk = await fetchTalk(id);
      if (talk.status !== "live") return wanted() ? talk : null;
    } catch (error) {
      // 409: it is being written; without a status the server is away, and may come back
      if (error.status && error.status !== 409) return null;
    }
    if (performance.now() > deadline) return null;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return null;
}
