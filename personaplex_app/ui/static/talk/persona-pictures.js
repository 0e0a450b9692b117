// A picture for every shipped persona, drawn in the page's two inks; others get their first letter. 48 by 48.

/**
 * Its strokes and faces by class: `u` and `a` are filled with the user's and the agent's ink, `p` cuts the panel's
 * colour out, `l`, `lu`, `la` and `lp` are lines in the text's, the user's, the agent's and the panel's.
 */
const DRAWN = {
  assistant:
    '<path class="u" d="M2 24C8 13 16 8 24 8s16 5 22 16c-6 11-14 16-22 16S8 35 2 24z"/>' +
    '<circle class="p" cx="24" cy="24" r="11"/>' +
    '<circle class="a" cx="24" cy="24" r="9"/>' +
    '<circle class="p" cx="27" cy="21" r="2"/>',
  "operations-assistant":
    '<path class="u" d="M6 40V24l11 7v-7l11 7v-7l11 7v9z"/>' + '<path class="a" d="M32 6h5v17l-5-3z"/>',
  "customer-service":
    '<path class="u" d="M8 26a16 16 0 0 1 32 0v3h-4v-3a12 12 0 0 0-24 0v3H8z"/>' +
    '<rect class="a" x="6" y="25" width="9" height="14" rx="3"/>' +
    '<rect class="a" x="33" y="25" width="9" height="14" rx="3"/>' +
    '<path class="l" d="M38 39c0 3-4 4-9 4"/>',
  "waste-collection":
    '<path class="u" d="M12 17h24l-3 26H15z"/>' +
    '<path class="a" d="M9 11h30v4H9zM19 7h10v4H19z"/>' +
    '<path class="p" d="M20 22v15M28 22v15"/>',
  restaurant:
    '<path class="a" d="M6 25h36a18 16 0 0 1-36 0z"/>' +
    '<path class="l" d="M30 25 43 8M25 25 37 6"/>' +
    '<path class="u" d="M15 7c4 4-4 6 0 11M22 7c4 4-4 6 0 11" fill="none"/>' +
    '<path class="lu" d="M14 8c4 4-4 6 0 11M21 8c4 4-4 6 0 11"/>',
  "drone-rental":
    '<rect class="a" x="18" y="20" width="12" height="9" rx="3"/>' +
    '<path class="l" d="M18 22 10 15M30 22l8-7M19 29l-5 8M29 29l5 8"/>' +
    '<ellipse class="u" cx="9" cy="13" rx="8" ry="2.5"/>' +
    '<ellipse class="u" cx="39" cy="13" rx="8" ry="2.5"/>' +
    '<circle class="p" cx="24" cy="24.5" r="2.5"/>',
  "appliance-repair":
    '<rect class="u" x="9" y="6" width="30" height="36" rx="3"/>' +
    '<circle class="p" cx="24" cy="27" r="9.5"/>' +
    '<path class="a" d="M17 29c3-3 5 2 7 0s4-2 7 0a7 7 0 0 1-14 0z"/>' +
    '<circle class="p" cx="15" cy="12" r="2"/>',
  "language-tutor":
    '<path class="u" d="M5 9h24v17H16l-6 6v-6H5z"/>' +
    '<path class="a" d="M43 19H32v10H20v8h13l6 6v-6h4z"/>' +
    '<path class="p" d="M10 15h14M10 20h9"/>',
  "wise-teacher":
    '<path class="u" d="M24 14C19 9 11 9 5 11v27c6-2 14-2 19 3 5-5 13-5 19-3V11c-6-2-14-2-19 3z"/>' +
    '<path class="p" d="M24 14v27"/>' +
    '<circle class="a" cx="24" cy="7" r="4"/>',
  "lesson-tutor":
    '<path class="u" d="M4 27h40v15H4z"/>' +
    '<path class="a" d="m14 31 4-17 10-5 8 8-2 14-8 8-8-2z"/>' +
    '<path class="p" d="m18 14 8 6 10-3M26 20l-2 12"/>',
  chat:
    '<path class="a" d="M9 17h25v16a8 8 0 0 1-8 8h-9a8 8 0 0 1-8-8z"/>' +
    '<path class="la" d="M34 21h3a5 5 0 0 1 0 11h-3"/>' +
    '<path class="lu" d="M16 5c4 3-4 5 0 9M25 5c4 3-4 5 0 9"/>',
  "casual-conversation":
    '<circle class="u" cx="16" cy="17" r="8"/>' +
    '<path class="u" d="M3 42a13 13 0 0 1 26 0z"/>' +
    '<circle class="a" cx="34" cy="20" r="7"/>' +
    '<path class="a" d="M31 42a15 15 0 0 0-3-9 12 12 0 0 1 18 9z"/>',
  "interview-coach":
    '<rect class="u" x="10" y="5" width="28" height="38" rx="2"/>' +
    '<circle class="a" cx="24" cy="16" r="5"/>' +
    '<path class="a" d="M15 28a9 7 0 0 1 18 0z"/>' +
    '<path class="p" d="M15 33h18M15 38h12"/>',
  "angry-customer":
    '<path class="a" d="m24 3 5 8 9-4-1 10 9 3-6 7 5 8-10 1-1 10-9-5-9 5-1-10-10-1 5-8-6-7 9-3L12 7l9 4z"/>' +
    '<path class="p" d="m16 19 6 3M32 19l-6 3M17 33c4-5 10-5 14 0"/>',
  "product-demo":
    '<rect class="u" x="5" y="8" width="38" height="25" rx="2"/>' +
    '<path class="a" d="m20 14 11 6.5-11 6.5z"/>' +
    '<path class="l" d="M24 33v8M15 42h18"/>',
  "sales-coach":
    '<path class="u" d="M6 41V31h8v10zM18 41V24h8v17zM30 41V16h8v25z"/>' +
    '<path class="la" d="m6 24 12-9 7 3L40 6"/>' +
    '<path class="a" d="m34 4 9 0-2 8z"/>',
  storyteller:
    '<path class="u" d="M36 31A17 17 0 1 1 20 6a14 14 0 0 0 16 25z"/>' +
    '<path class="a" d="m36 7 2 5 5 1-4 3 1 5-4-2-5 2 1-5-3-3 5-1z"/>',
  astronaut:
    '<circle class="a" cx="34" cy="34" r="11"/>' +
    '<path class="u" d="M8 6c12 0 20 6 22 18l-7 7C11 28 6 19 8 6z"/>' +
    '<circle class="p" cx="19" cy="17" r="3.5"/>' +
    '<path class="l" d="m12 27-6 8M21 33l-3 9"/>',
  "guess-the-animal":
    '<ellipse class="a" cx="24" cy="33" rx="10" ry="8"/>' +
    '<circle class="u" cx="10" cy="23" r="5"/>' +
    '<circle class="u" cx="19" cy="13" r="5"/>' +
    '<circle class="u" cx="30" cy="13" r="5"/>' +
    '<circle class="u" cx="39" cy="23" r="5"/>',
  "twenty-questions":
    '<path class="u" d="M6 6h36v27H24l-9 9v-9H6z"/>' +
    '<path class="lp" d="M19 17a5 5 0 1 1 6 5c-1 .4-1 1-1 3"/>' +
    '<circle class="p" cx="24" cy="29" r="1.5"/>',
  "quiz-master":
    '<path class="a" d="M14 5h20v13a10 10 0 0 1-20 0z"/>' +
    '<path class="la" d="M14 9H7c0 8 3 11 8 12M34 9h7c0 8-3 11-8 12"/>' +
    '<path class="u" d="M21 27h6v7h6v8H15v-8h6z"/>',
  "lighthouse-adventure":
    '<path class="u" d="M20 16h9l4 27H16z"/>' +
    '<path class="a" d="M19 8h11v8H19zM17 8l7.5-5L32 8z"/>' +
    '<path class="la" d="M34 10 46 6M34 13l12 3M15 10 3 6M15 13 3 16"/>' +
    '<path class="p" d="M18 28h13M17 36h15"/>',
};

/** The picture of a persona as an element that screen readers pass over; its name stands beside it. */
export function pictureOf({ name, title }) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("viewBox", "0 0 48 48");
  picture.setAttribute("class", "picture");
  picture.setAttribute("aria-hidden", "true");
  if (DRAWN[name]) {
    picture.innerHTML = DRAWN[name]; // drawn above, never what somebody wrote
    return picture;
  }
  picture.innerHTML =
    '<circle class="u" cx="24" cy="24" r="19"/><text x="24" y="32" text-anchor="middle"></text>';
  picture.lastChild.textContent = [...title][0]?.toUpperCase() ?? "";
  return picture;
}
