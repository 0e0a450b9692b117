// Stands in the page's own text. Gradio's picture of loading counts its seconds in a loop of frames that asks for the
// next one for ever, long after the page stands in its place: a twentieth of a core for as long as the page is open. A
// loop of this kind, begun before the page stands, gets no frame afterwards.
{
  const ask = window.requestAnimationFrame.bind(window);
  const stands = () => document.querySelector("#masthead");
  let running = null; // of those begun before the page stands
  // the loop makes a new function of the same text for each frame
  const again = (next) => running && next !== running && String(next) === String(running);
  window.requestAnimationFrame = (callback) => {
    if (stands()) return again(callback) ? 0 : ask(callback);
    return ask((now) => {
      running = callback;
      try {
        callback(now);
      } finally {
        running = null;
      }
    });
  };
}
