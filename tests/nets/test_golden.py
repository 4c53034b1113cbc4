"""Whole files as they are generated, so that a reviewer sees what a change does to them.

When a difference is meant, scripts/accept_golden.sh writes them anew.
"""

import difflib
import os
from pathlib import Path

import pytest

from batchbrew.nets.command import main

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
ACCEPT = "BATCHBREW_ACCEPT_GOLDEN"

# What is printed: for each family and variant one network of full size, the options that change most, a solver.
FILES = {
    "alexnet.train_val": ["alexnet"],
    "alexnet.deploy": ["alexnet", "--print", "deploy"],
    "alexnet.solver": ["alexnet", "--print", "solver"],
    "alexnet_original.train_val": ["alexnet", "--original"],
    "alexnet_scale_nvcaffe.train_val": ["alexnet", "--scale", "--bn", "nvcaffe"],
    "vgg11.train_val": ["vgg", "--depth", "11"],
    "vgg11_original.deploy": ["vgg", "--depth", "11", "--original", "--print", "deploy"],
    "resnet10.train_val": ["resnet", "--depth", "10"],
    "resnet10_small_finetuning.train_val": [
        *("resnet", "--depth", "10", "--stem", "small", "--crop", "32", "--classes", "10", "--global-stats"),
        *("--mean", "104,117,123", "--classifier-name", "score_mine", "--lr-mult", "score_mine=10"),
    ],
    "resnet18_he.deploy": ["resnet", "--depth", "18", "--variant", "he", "--print", "deploy"],
    "resnet50_he.train_val": ["resnet", "--depth", "50", "--variant", "he"],
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_is_generated_is_what_was_accepted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    family, *options = FILES[name]
    counts = ["--train-images", "1281167", "--val-images", "50000"]
    sources = ["--train", "data/train_lmdb", "--val", "data/val.txt", *counts]
    assert main(family, [*options, *sources, "--out", "-"], prog=f"generate_{family}.py") == 0
    made = capsys.readouterr().out
    golden = GOLDEN / f"{name}.prototxt"
    if os.environ.get(ACCEPT):
        golden.write_text(made)
    accepted = golden.read_text() if golden.exists() else ""
    difference = difflib.unified_diff(
        accepted.splitlines(), made.splitlines(), f"accepted {golden.name}", "generated now", lineterm=""
    )
    assert made == accepted, "\n".join(["", *difference, "If this is meant: scripts/accept_golden.sh"])


def test_no_golden_file_is_forgotten() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.prototxt" for name in FILES}
