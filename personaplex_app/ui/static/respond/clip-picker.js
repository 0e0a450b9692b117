// Gradio's picker of recordings knows a list of its own and goes by what the browser calls a file: video/webm for the
// sound of a .webm. Here it offers, and takes, what the server reads.

/**
 * Watch the picker in the component `selector`.
 *
 * @param {string} selector
 * @param {string[]} formats suffixes, each with its dot
 * @param {(text: string) => void} refuse tells why a file is not taken; an empty text takes that back
 */
export function watchPicker(selector, formats, refuse) {
  const input = () => document.querySelector(`${selector} input[type=file]`);
  const inside = (event) => event.target instanceof Element && event.target.closest(selector);

  /** Hand files to the picker as the sound that they are; false where one is none. */
  function hand(files) {
    const other = files.find((file) => !formats.some((format) => file.name.toLowerCase().endsWith(format)));
    refuse(
      other
        ? `${other.name} is not a recording that can be read here. These can: ${formats.join(", ")}.`
        : "",
    );
    if (other) return false;
    const sound = new DataTransfer();
    for (const file of files) {
      const type = file.type.startsWith("audio/") ? file.type : "audio/wav";
      sound.items.add(new File([file], file.name, { type }));
    }
    input().files = sound.files;
    return true;
  }

  const chosen = (event) => {
    if (hand([...event.target.files])) return;
    event.stopImmediatePropagation();
    event.target.value = "";
  };
  const dropped = (event) => {
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!inside(event) || !files.length || !input()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (hand(files)) input().dispatchEvent(new Event("change", { bubbles: true }));
  };
  const listen = (type, listener) => document.addEventListener(type, listener, true);
  listen("click", ({ target }) => target === input() && (target.accept = formats.join(",")));
  listen("change", (event) => event.target === input() && chosen(event));
  listen("drop", dropped);
  // whoever speaks to the page says what is written on it, and Gradio's names for these are others
  const picker = document.querySelector(selector);
  const rename = () => {
    picker.querySelector(".upload-container")?.removeAttribute("aria-label");
    const speed = picker.querySelector(".playback");
    speed?.setAttribute("aria-label", `Playback speed ${speed.textContent.trim()}`);
  };
  new MutationObserver(rename).observe(picker, { childList: true, characterData: true, subtree: true });
  rename();
}
