#!/bin/sh
# Make sure that the linters of the page's modules have Node.js and npm
set -eu
enough() {
    command -v npm >/dev/null && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 18 || (major === 18 && minor >= 18) ? 0 : 1);
    ' 2>/dev/null
}
enough && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Node.js for the linters ..."
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm; } >/dev/null 2>&1 || true
    enough && exit 0
fi
echo "The page's modules are linted with Node.js 18.18 or newer and npm: install them, from your system's packages or https://nodejs.org" >&2
exit 1
