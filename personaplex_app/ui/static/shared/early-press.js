// Stands in the page's own text: notes a press on Start that comes before the modules which obey it.
addEventListener(
  "click",
  ({ target }) => {
    const start = target.closest("#talk-start");
    if (start) start.dataset.pressed = "";
  },
  true,
);
