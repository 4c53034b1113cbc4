"""The array job for Slurm, started as Slurm would start it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.dataset.building.builds import names_in, pictures_source

ROOT = Path(__file__).parents[2]


def job(folder: Path, **variables: object) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    environment |= {"PYTHON": sys.executable} | {name: str(value) for name, value in variables.items()}
    script = ROOT / "scripts" / "slurm_build_lmdb.sh"
    options = ["--folder", folder / "photos", "--out", folder / "out", "--side", "24"]
    return subprocess.run(
        ["bash", script, *map(str, options)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_job_builds_its_shard_and_one_can_be_submitted_again(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        pictures_source(tmp_path / "photos" / name, 2)
    ran = job(tmp_path, SLURM_ARRAY_TASK_ID=0, SLURM_ARRAY_TASK_COUNT=2)
    assert ran.returncode == 0, ran.stderr
    # sbatch --array=1: an array of one job.
    ran = job(tmp_path, SLURM_ARRAY_TASK_ID=1, SLURM_ARRAY_TASK_COUNT=1, BATCHBREW_SHARDS=2)
    assert ran.returncode == 0, ran.stderr
    assert names_in(tmp_path / "out") == ["shard-00000-of-00002", "shard-00001-of-00002"]
    ran = job(tmp_path)
    assert (ran.returncode, ran.stderr.count("start it with sbatch --array=0-N")) == (1, 1)
