#!/usr/bin/env bash
# Accepts what is generated now: writes tests/golden/*.prototxt anew. Look at `git diff tests/golden` afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh --tests
BATCHBREW_ACCEPT_GOLDEN=1 .venv/bin/python -m pytest -q tests/nets/test_golden.py "$@"
