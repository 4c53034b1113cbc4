#!/usr/bin/env bash
# Sets itself up (.venv, real Caffe) and runs all checks: ruff, mypy, and the tests, real Caffe included.
# Arguments go to pytest: scripts/test.sh tests/proto -k text
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${BATCHBREW_CAFFE_PYTHON:-}" ] && ! command -v mmdebstrap >/dev/null && [ "$(id -u)" = 0 ] &&
  command -v apt-get >/dev/null; then
  echo "test: installing mmdebstrap, which unpacks real Caffe" >&2
  apt-get update -qq && apt-get install -y -qq mmdebstrap >/dev/null
fi
scripts/setup.sh --tests
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# By module, so that a module's tests share what they set up; more processes would mean more Caffes at once.
exec .venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadscope "$@"
