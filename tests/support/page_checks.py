"""Checks for every page: it fits its width, text has contrast, controls are large and have names."""

from playwright.sync_api import Page

from .browser import screenshot

WIDTHS = (390, 768, 1280, 1600)
PICTURED = (390, 1280)
# the contrast of every visible text against the colour that is painted behind it
CONTRASTS = """() => {
  const parse = (css) => { const [r, g, b, a = 1] = css.match(/[\\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const light = ({ r, g, b }) => [r, g, b].map((v) => {
    v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.a === 1) return colour;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const found = [];
  const field = "select, textarea, input:not([type=checkbox], [type=radio], [type=file], [type=range])";
  const parts = '.masthead *, .talk *, .sessions *, .compare *, [role=tab]';
  for (const element of document.querySelectorAll(parts)) {
    const own = element.matches(field) ||
      [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) ||
        element.disabled) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 &&
        Number(style.fontWeight) >= 700);
    found.push({ text: `${element.localName} ${element.textContent.trim().slice(0, 40)}`,
        ratio: (a + 0.05) / (b + 0.05), least: large ? 3 : 4.5 });
  }
  return found;
}"""
TARGETS = """() => [
  ...document.querySelectorAll('.talk :is(button, select, summary, textarea), .talk label.card, '
    + '.talk label.tick, [role=tab]'),
]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) &&
    each.getBoundingClientRect().height > 0)
  .map((each) => [each.id || each.textContent.trim().slice(0, 30),
    Math.round(each.getBoundingClientRect().height)])"""
NAMELESS = """() => [...document.querySelectorAll(
  '.talk :is(button, select, textarea, input), .sessions :is(button, input)')]
  .filter((each) => each.checkVisibility() && !(each.labels?.length || each.ariaLabel ||
      each.textContent.trim() || each.placeholder))
  .map((each) => each.outerHTML.slice(0, 80))"""


def assert_fits(page: Page) -> None:
    assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 0


def assert_readable(page: Page) -> None:
    found = page.evaluate(CONTRASTS)
    assert len(found) > 10
    assert not [each for each in found if each["ratio"] < each["least"]]


def assert_fits_everywhere(page: Page, name: str = "", full_page: bool = True) -> None:
    """Check the page at every width; with a `name`, save screenshots at phone and desktop width."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert_fits(page)
        if name and width in PICTURED:
            screenshot(page, f"{name}-{width}", full_page=full_page)
