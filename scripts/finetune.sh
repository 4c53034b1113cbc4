#!/usr/bin/env bash
# Fine-tunes a network: scripts/finetune.sh --weights W.caffemodel --net resnet50 --classes 200 --train ... --val ...
# All options: scripts/finetune.sh --help
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/batchbrew.sh" finetune "$@"
