#!/bin/sh
# Make sure that the browser tests have a Chromium: ensure-browser.sh PYTHON
# The one without windows computes half as much for a page; another one that is there will do.
set -eu
python=$1
command -v chromium-headless-shell >/dev/null && exit 0
"$python" - <<'PY' && exit 0
import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    sys.exit(not os.path.exists(p.chromium.executable_path))
PY
echo "Installing a browser for the tests ..."
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    install="timeout 180 apt-get install -y -qq --no-install-recommends chromium-headless-shell"
    { $install || { timeout 60 apt-get update -qq && $install; }; } >/dev/null 2>&1 && exit 0
fi
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
timeout 180 "$python" -m playwright install chromium >/dev/null 2>&1 && exit 0
echo "The browser tests need Chromium: install the package chromium, or run: $python -m playwright install chromium" >&2
exit 1
