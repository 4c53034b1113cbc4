#!/usr/bin/env bash
#SBATCH --job-name=build-lmdb
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
# Builds an LMDB in shards, a job of a Slurm array for each:
#
#   sbatch --array=0-15 scripts/slurm_build_lmdb.sh --folder /data/photos/train --out /scratch/train_lmdb
#
# All options of `batchbrew lmdb build` go (docs/lmdb_building.md). A job that is requeued, or submitted again, goes on where
# it was; to submit some of them again, say how many shards there are: BATCHBREW_SHARDS=16 sbatch --array=3,7 ...
# /scratch/train_lmdb is read as one set when all have ended; to make one LMDB of it:
# batchbrew lmdb merge /scratch/train_lmdb /scratch/train_lmdb_merged
set -euo pipefail

: "${SLURM_ARRAY_TASK_ID:?start it with sbatch --array=0-N}"
# Slurm runs a copy of this file from elsewhere; jobs start in the folder where sbatch was typed.
root=${BATCHBREW_ROOT:-${SLURM_SUBMIT_DIR:-$PWD}}
[ -x "$root/scripts/build_lmdb.sh" ] || {
  echo "slurm_build_lmdb: $root is not a checkout of BatchBrew: sbatch from there, or set BATCHBREW_ROOT" >&2
  exit 1
}
# The builder itself gets the scheduler's SIGTERM.
exec "$root/scripts/build_lmdb.sh" "$@" --resume \
  --shards "${BATCHBREW_SHARDS:-${SLURM_ARRAY_TASK_COUNT:?}}" --shard "$SLURM_ARRAY_TASK_ID" --workers "${SLURM_CPUS_PER_TASK:-1}"
