#!/usr/bin/env bash
# Makes this checkout ready: a virtual environment in .venv with BatchBrew and the pinned versions of
# constraints.txt. Does nothing where all is there already.
#
#   scripts/setup.sh            what running needs
#   scripts/setup.sh --caffe    and real Caffe, in the user's cache folder, for --engine bvlc
#   scripts/setup.sh --tests    and what the tests need, real Caffe included
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
extras=""
caffe=""
case ${1:-} in
  "") ;;
  --caffe) caffe=1 ;;
  --tests) extras="[dev]" caffe=1 ;;
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) say "unknown option $1 (there is --caffe, --tests and --help)"; exit 1 ;;
esac

python=${PYTHON:-}
for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
  [ -n "$python" ] && break
  "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && python=$candidate
done
[ -n "$python" ] || { say "Python 3.10 or newer is needed; name one in PYTHON"; exit 1; }

exec 8>.setup.lock # two set-ups at once: the second waits, then finds the work done
flock 8

# The stamp says for which files the environment was made, and is written last.
stamp=.venv/.made-for$extras
made_for=$({ echo "$extras"; "$python" --version; cat setup.py pyproject.toml constraints.txt; } | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$made_for" ]; then
  say "installing BatchBrew$extras into .venv"
  if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    rm -rf .venv
    "$python" -m venv .venv || {
      rm -rf .venv
      say "'$python -m venv' failed; on Debian and Ubuntu: sudo apt-get install python3-venv"
      exit 1
    }
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".$extras"
  echo "$made_for" >"$stamp"
fi
flock -u 8

if [ -n "$caffe" ] && [ -z "${BATCHBREW_CAFFE_PYTHON:-}" ]; then
  scripts/install_caffe.sh
fi
