"""All generators as scripts, with nothing but protobuf, and a network with a mean in real Caffe."""

import subprocess
import sys
from pathlib import Path

import pytest

from batchbrew.nets.families import FAMILIES
from tests.conftest import RunCaffe
from tests.generators.test_generate_resnet import ONLY_PROTOBUF, SCRIPT, write_images

OPTIONS = {"alexnet": [], "vgg": ["--depth", "11"], "resnet": ["--depth", "18", "--variant", "he"]}


def run_script(family: str, *options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.with_name(f"generate_{family}.py")
    return subprocess.run(
        [sys.executable, "-c", ONLY_PROTOBUF, script, *options],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_there_is_a_script_for_each_family() -> None:
    scripts = {path.stem for path in SCRIPT.parent.glob("generate_*.py")}
    assert (
        scripts
        == {f"generate_{family}" for family in FAMILIES}
        == {f"generate_{family}" for family in OPTIONS}
    )


@pytest.mark.parametrize("family", OPTIONS)
def test_it_needs_nothing_but_protobuf(family: str, tmp_path: Path) -> None:
    sources = ("--train", "train_lmdb", "--val", "val_lmdb")
    done = run_script(family, *OPTIONS[family], *sources, "--out", "made", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "deploy.prototxt",
        "solver.prototxt",
        "train_val.prototxt",
    ]
    helped = run_script(family, "--help", folder=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert f"generate_{family}.py " in helped.stdout.partition("example:")[2]


MEAN = """
import json, os, sys
import numpy as np
import caffe
os.chdir(sys.argv[1])
blob = caffe.io.array_to_blobproto(np.full((1, 3, 40, 40), 100, np.float32))
open("mean.binaryproto", "wb").write(blob.SerializeToString())
means = {}
for name in sys.argv[2:]:
    net = caffe.Net(name + "/train_val.prototxt", caffe.TEST)
    net.forward()
    means[name] = net.blobs["data"].data.mean(axis=(0, 2, 3)).round(4).tolist()
print(json.dumps(means))
"""


def test_caffe_subtracts_the_mean(tmp_path: Path, run_caffe: RunCaffe) -> None:
    write_images(tmp_path / "images_lmdb", 3)
    networks = {
        "plain": ["--mean", "0,0,0"],
        "values": ["--mean", "1,2,30"],
        "file": ["--mean-file", "mean.binaryproto"],
    }
    for name, options in networks.items():
        done = run_script(
            *("resnet", "--depth", "10", "--classes", "7", "--crop", "32", "--val-batch", "3", "--out", name),
            *("--train", "images_lmdb", "--val", "images_lmdb", "--train-images", "3", "--val-images", "3"),
            *options,
            folder=tmp_path,
        )
        assert done.returncode == 0, done.stderr
    means = run_caffe(MEAN, tmp_path, *networks)
    for channel, value in enumerate([1, 2, 30]):
        assert means["values"][channel] == pytest.approx(means["plain"][channel] - value, abs=0.01)
        assert means["file"][channel] == pytest.approx(means["plain"][channel] - 100, abs=0.01)
