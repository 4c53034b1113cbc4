#!/usr/bin/env bash
# Runs `batchbrew` of this checkout: from its .venv where scripts/setup.sh made one, else from the sources.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -x "$root/.venv/bin/batchbrew" ]; then
  exec "$root/.venv/bin/batchbrew" "$@"
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" -m batchbrew "$@"
