#!/usr/bin/env bash
# Trains a network: scripts/train.sh models/resnet10/solver.prototxt --run logs/resnet10
# or a recipe:      scripts/train.sh solvers/resnet50.yaml --train data/train_lmdb --val data/val_lmdb --gpu 0
# All options: scripts/train.sh --help
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/batchbrew.sh" train "$@"
