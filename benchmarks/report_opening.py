"""Measure how long a report of `evaluate run` takes to open in Chromium, in a new browser each time.

    python -m benchmarks.report_opening [REPORT.html] [--times 5] [--json OUT]

From the beginning of the navigation to the first picture on the screen, and to the end of loading.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from playwright.sync_api import sync_playwright

from personaplex_app.cli.doctor import machine
from tests.support.browser import chromium_path

REPORT = Path(__file__).parent / "results" / "evaluation_classic.html"
TIMES = """() => {
  const [navigation] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return navigation.loadEventEnd && paint ? [paint.startTime, navigation.loadEventEnd] : null;
}"""


def opened_ms(report: Path) -> tuple[float, float]:
    """Return when the first picture came and when everything was loaded, in milliseconds after the address
    was given.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            page = browser.new_page()
            page.goto(report.absolute().as_uri())
            return tuple(page.wait_for_function(TIMES).json_value())
        finally:
            browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, nargs="?", default=REPORT)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    seen = [opened_ms(args.report) for _ in range(args.times)]
    result = {
        "command": "python -m benchmarks.report_opening",
        "machine": machine(),
        "report": args.report.name,
        "report_bytes": args.report.stat().st_size,
        "first_picture_ms": [round(first) for first, _ in seen],
        "loaded_ms": [round(loaded) for _, loaded in seen],
        "median_opened_ms": round(statistics.median(max(both) for both in seen)),
    }
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
