#!/bin/sh
# Make sure that the tests of proxies have an nginx; they skip, saying so, where none can be had
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin
command -v nginx >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing nginx for the tests ..."
    # Debian starts it at once, on port 80, unless told otherwise
    started=/usr/sbin/policy-rc.d
    [ -e "$started" ] || { printf '#!/bin/sh\nexit 101\n' >"$started" && chmod +x "$started" && trap 'rm -f "$started"' EXIT; }
    { apt-get install -y -qq --no-install-recommends nginx-light || { apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light; }; } >/dev/null 2>&1 && exit 0
fi
echo "No nginx: the tests of proxies will be skipped. Install the package nginx to run them." >&2
