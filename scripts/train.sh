#!/usr/bin/env bash
# Trains a network: scripts/train.sh models/resnet10/solver.prototxt --run logs/resnet10
# All options: scripts/train.sh --help
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/batchbrew.sh" train "$@"
