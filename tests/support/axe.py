"""The accessibility checker axe-core in a page, from `npm ci`."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from .page_checks import assert_fits

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (390, 768, 1280)
RUN = """async (rules) => {
  const only = rules ? { runOnly: { type: "rule", values: rules } } : {};
  const asked = { resultTypes: ["violations"], ...only };
  const { violations } = await axe.run(document, asked);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary.split("\\n")[1]?.trim()}`));
}"""


def load_axe(page: Page) -> None:
    """Make the checker known to the page that is open."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed; run: npm ci")
    page.evaluate(AXE.read_text("utf-8"))
    # a colour on its way to another is neither
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")


def faults_of(page: Page, state: str) -> set[str]:
    """Return what is wrong with what is shown, at three widths and in the colours of the other theme."""
    before = page.viewport_size
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert_fits(page)
        found += page.evaluate(RUN, None)
    switch = "() => document.body.classList.toggle('dark')"
    page.evaluate(switch)
    found += page.evaluate(RUN, ["color-contrast"])
    page.evaluate(switch)
    page.set_viewport_size(before or {"width": 1280, "height": 900})
    return {f"{state}: {each}" for each in found}


def assert_accessible(page: Page, state: str) -> None:
    """Check a state that a longer test has come to; without the checker, what else it tests goes on."""
    if AXE.exists():
        load_axe(page)
        assert not faults_of(page, state)
