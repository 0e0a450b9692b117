// The running talk's id, which outlives a reload and nothing else. Where storage is refused, a reload finds the talk under Sessions.

const KEY = "personaplex.live";

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
