#!/bin/sh
# Runs the tests while other processes keep every core busy, and fails when any test does: none may depend on how
# fast the machine is.
#
#   sh scripts/busy_suite.sh [--runs 3] [--hogs 4] [--python .venv/bin/python] [-- PYTEST'S ARGUMENTS]
#
# Without arguments for pytest it runs all tests, six at a time.
set -u
runs=3 hogs=4 python=${VENV:-.venv}/bin/python
while [ $# -gt 0 ]; do
  case $1 in
    --runs) runs=$2; shift 2 ;;
    --hogs) hogs=$2; shift 2 ;;
    --python) python=$2; shift 2 ;;
    --) shift; break ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done

burning=""
stop() { [ -z "$burning" ] || kill $burning 2>/dev/null; burning=""; }
trap stop EXIT
trap 'exit 130' INT TERM
while [ "$hogs" -gt 0 ]; do
  (while :; do :; done) &
  burning="$burning $!" hogs=$((hogs - 1))
done

out=$(mktemp)
failed=0 run=1
while [ "$run" -le "$runs" ]; do
  "$python" -m pytest --quiet --forks 6 "$@" >"$out" 2>&1
  code=$?
  echo "run $run of $runs: $(tail -n 1 "$out")"
  if [ "$code" -ne 0 ]; then
    failed=1
    cat "$out"
  fi
  run=$((run + 1))
done
rm -f "$out"
exit "$failed"
