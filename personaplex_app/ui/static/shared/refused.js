// Stands in the page's own text, since modules are what may be refused: says why the page would stay empty.
(() => {
  const MISSING = JSON.parse(document.querySelector("#strings").textContent).page.scripts_missing;
  let told = false;

  async function reason() {
    // a POST carries the page's origin, as module scripts do, so it is refused with the same sentence
    const answer = await fetch("./health", { method: "POST" });
    return [403, 421].includes(answer.status) ? (await answer.json()).message : MISSING;
  }

  function show(text) {
    const notice = document.createElement("p");
    notice.id = "page-refused";
    notice.role = "alert";
    notice.textContent = text;
    notice.style.cssText = "max-width:40rem;margin:3rem auto;padding:0 1rem;font:1rem/1.5 system-ui";
    document.body.prepend(notice);
  }

  addEventListener(
    "error",
    async ({ target }) => {
      if (told || target.tagName !== "SCRIPT" || target.type !== "module") return;
      told = true;
      const text = await reason().catch(() => MISSING);
      if (document.body) show(text);
      else addEventListener("DOMContentLoaded", () => show(text));
    },
    true,
  );
})();
