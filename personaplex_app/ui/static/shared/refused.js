// Stands in the page's own text, since modules are what may be refused: says why the page would stay empty.
(() => {
	const SCRIPTS_MISSING =
		"This page's scripts could not be loaded. Reload the page; if that does not help, its owner finds the reason in the app's log.";
	let told = false;

	async function reason() {
		// a POST carries the page's origin, as module scripts do, so it is refused with the same sentence
		const answer = await fetch("./health", { method: "POST" });
		return answer.status === 403 || answer.status === 421 ? (await answer.json()).message : SCRIPTS_MISSING;
	}

	function show(text) {
		const told = document.createElement("p");
		told.id = "page-refused";
		told.role = "alert";
		told.textContent = text;
		told.style.cssText = "max-width: 40rem; margin: 3rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif";
		document.body.prepend(told);
	}

	addEventListener(
		"error",
		async (event) => {
			if (told || event.target.tagName !== "SCRIPT" || event.target.type !== "module") return;
			told = true;
			const text = await reason().catch(() => SCRIPTS_MISSING);
			if (document.body) show(text);
			else addEventListener("DOMContentLoaded", () => show(text));
		},
		true,
	);
})();
