#!/usr/bin/env bash
# From nothing to a trained network on this machine: a virtual environment, 2,624 photographs of solar cells, two
# LMDBs, a generated ResNet-10, a training run on the GPU or the CPU, its test error and its convergence plot.
# It takes under 8 minutes on 2 cores. Whatever is there already is not made again, so after an interruption
# just start it again.
#
#   scripts/quickstart.sh
#
# Environment: QUICK=1          train for a fraction of the iterations: one minute
#              QUICKSTART_DIR   where data/, models/ and logs/ are made (default: this checkout)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
checkout=$PWD

short_side=112
iterations=1000
base_lr=0.05
name=quickstart
if [ "${QUICK:-0}" != 0 ]; then
  iterations=60
  base_lr=0.02
  name=quickstart-quick
fi

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || step() { printf '\n%s\n' "$*"; }

step "1/6  BatchBrew and PyTorch, in .venv"
scripts/setup.sh
batchbrew=$checkout/.venv/bin/batchbrew
python=$checkout/.venv/bin/python

step "2/6  Photographs: elpv-dataset, solar cells by probability of a defect (non-commercial licence)"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --constraint constraints.txt elpv-dataset
mkdir -p "${QUICKSTART_DIR:-.}"
cd "${QUICKSTART_DIR:-.}"
"$python" "$checkout/data/elpv.py" --out data/elpv | sed -n 1,2p
images=$("$python" -c 'import json; print(json.load(open("data/elpv/elpv.json"))["root"])')

step "3/6  LMDBs"
for part in train val; do
  if [ -e "data/elpv_${part}_lmdb" ]; then
    grep -q "\"short_side\": $short_side," "data/elpv_${part}_lmdb/dataset.json" || {
      echo "quickstart: data/elpv_${part}_lmdb is not of pictures $short_side pixels wide: move it away" >&2
      exit 1
    }
    echo "data/elpv_${part}_lmdb is there already"
  else
    "$batchbrew" lmdb build --images "$images" --list "data/elpv/$part.txt" --classes data/elpv/classes.txt \
      --short-side "$short_side" --out "data/elpv_${part}_lmdb" --resume
  fi
done

step "4/6  The network: ResNet-10, pre-activation, for four classes"
"$batchbrew" generate resnet --depth 10 --classes 4 --crop 96 \
  --train data/elpv_train_lmdb --val data/elpv_val_lmdb --batch 32 --device-batch 32 --bn-fraction 0.9 \
  --iterations "$iterations" --base-lr "$base_lr" --weight-decay 0.0005 --test-interval $((iterations / 5)) \
  --snapshot $((iterations / 5)) --seed 1 --out "models/$name"

step "5/6  Training, $iterations iterations"
if [ -e "logs/$name/run.json" ]; then
  "$batchbrew" train --resume --run "logs/$name"
else
  "$batchbrew" train "models/$name/solver.prototxt" --shuffle --run "logs/$name"
fi

step "6/6  Test"
"$batchbrew" test --run "logs/$name"

step "Done"
typed=$batchbrew
[ "$PWD" = "$checkout" ] && typed=.venv/bin/batchbrew
cat <<SCREEN
  data/elpv_train_lmdb, data/elpv_val_lmdb   the photographs, as Caffe reads them
  models/$name   the network: train_val, deploy and solver prototxt
  logs/$name     the run: the weights in snapshots/, and train.log as Caffe writes it
  logs/$name/convergence.png   top-1 error and learning rate against iteration: look at it

What to type next (in $PWD):
  $typed lmdb show data/elpv_train_lmdb --out cells.png
  $typed lmdb build --folder YOUR_PHOTOS/train --out data/train_lmdb       # a folder for each class
  $typed generate resnet --depth 18 --classes N --train data/train_lmdb --val data/val_lmdb --out models/mine
  $typed train models/mine/solver.prototxt --run logs/mine
  $typed finetune --net resnet10 --crop 96 --weights logs/$name/snapshots/resnet10_iter_$iterations.caffemodel \\
    --classes N --train data/train_lmdb --val data/val_lmdb
SCREEN
