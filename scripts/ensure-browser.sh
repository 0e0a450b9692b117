#!/bin/sh
# Make sure that the browser tests have a Chromium: ensure-browser.sh PYTHON
set -eu
python=$1
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
"$python" - <<'PY' && exit 0
import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    sys.exit(not os.path.exists(p.chromium.executable_path))
PY
echo "Installing a browser for the tests ..."
timeout 180 "$python" -m playwright install chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
echo "The browser tests need Chromium: install the package chromium, or run: $python -m playwright install chromium" >&2
exit 1
