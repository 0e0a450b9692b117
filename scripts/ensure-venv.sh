#!/bin/sh
# Make a virtual environment: ensure-venv.sh PYTHON FOLDER
set -eu
python=$1 folder=$2
command -v "$python" >/dev/null || { echo "Python is needed: install python3 (3.10 or newer), or say make PYTHON=/path/to/python3" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "Python 3.10 or newer is needed; $python is $("$python" --version). Say make PYTHON=/path/to/a/newer/python3" >&2
    exit 1
}
[ -x "$folder/bin/pip" ] && exit 0
# Debian keeps venv's pip in a package of its own
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        echo "Python's venv module is incomplete; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
"$python" -m venv "$folder"
