#!/usr/bin/env bash
# Builds an LMDB from images: scripts/build_lmdb.sh --images DIR --list train.txt --out data/train_lmdb
# After an interruption, the same with --resume. All options: scripts/build_lmdb.sh --help
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -x "$root/.venv/bin/batchbrew" ]; then
  exec "$root/.venv/bin/batchbrew" lmdb build "$@"
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" -m batchbrew lmdb build "$@"
