"""The script as a user runs it, with nothing but protobuf, and its files in real Caffe."""

import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np

from batchbrew.proto import caffe_pb2 as pb
from tests.conftest import RunCaffe

SCRIPT = Path(__file__).resolve().parent.parent.parent / "generators" / "generate_resnet.py"

ONLY_PROTOBUF = """
import runpy, sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package not in sys.stdlib_module_names | {"google", "batchbrew"}:
            raise ModuleNotFoundError(f"no {package} here", name=package)
sys.meta_path.insert(0, NotInstalled())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

TRAIN = """
import json, sys
import caffe
solver = caffe.SGDSolver("models/tiny/solver.prototxt")
before = solver.net.params["score"][0].data.copy()
solver.solve()
moved = float(abs(solver.net.params["score"][0].data - before).max())
test_outputs = {name: float(blob.data) for name, blob in solver.test_nets[0].blobs.items() if not blob.shape}
print(json.dumps({"iter": solver.iter, "moved": moved, "outputs": sorted(test_outputs)}))
"""


def write_images(path: Path, images: int) -> None:
    random = np.random.default_rng(0)
    with lmdb.open(str(path), map_size=2**24) as database, database.begin(write=True) as transaction:
        for number in range(images):
            pixels = random.integers(0, 256, (3, 40, 40), dtype=np.uint8).tobytes()
            datum = pb.Datum(channels=3, height=40, width=40, data=pixels, label=number % 7)
            transaction.put(f"{number:08d}".encode(), datum.SerializeToString())


def run_script(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *options], cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_what_it_writes_trains_in_caffe(tmp_path: Path, run_caffe: RunCaffe) -> None:
    write_images(tmp_path / "train_lmdb", 10)
    write_images(tmp_path / "val_lmdb", 6)
    done = run_script(
        *("--depth", "10", "--classes", "7", "--crop", "32", "--train", "train_lmdb", "--val", "val_lmdb"),
        *("--batch", "4", "--device-batch", "2", "--iterations", "2", "--cpu", "--out", "models/tiny"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    answer = run_caffe(f"import os\nos.chdir({str(tmp_path)!r})\n{TRAIN}")
    assert answer["iter"] == 2
    assert answer["moved"] > 0
    assert answer["outputs"] == ["accuracy", "loss", "top5"]
    assert (tmp_path / "models" / "tiny" / "resnet10_iter_2.caffemodel").is_file()


def test_it_needs_nothing_but_protobuf(tmp_path: Path) -> None:
    options = ["--depth", "50", "--train", "train_lmdb", "--val", "val_lmdb", "--out", "models/r50"]
    write_images(tmp_path / "val_lmdb", 1)
    done = subprocess.run(
        [sys.executable, "-c", ONLY_PROTOBUF, SCRIPT, *options],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "val_lmdb cannot be counted without the Python package lmdb: taken for ILSVRC12's" in done.stderr
    names = {path.name for path in (tmp_path / "models" / "r50").iterdir()}
    assert names == {"train_val.prototxt", "deploy.prototxt", "solver.prototxt"}


def test_a_missing_protobuf_is_told_in_one_line(tmp_path: Path) -> None:
    without = ONLY_PROTOBUF.replace('"google", ', "")
    done = subprocess.run(
        [sys.executable, "-c", without, SCRIPT, "--help"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "generate_resnet.py: error: the Python package protobuf is missing: pip install protobuf\n"
    )


def test_exit_codes_and_messages(tmp_path: Path) -> None:
    sources = ("--train", "train_lmdb", "--val", "val_lmdb", "--out", "r")
    helped = run_script("--help", folder=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    wrong = run_script("--depth", "20", *sources, folder=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == (
        "generate_resnet.py: error: --depth 20 is not known: it is 10, 18, 26, 34, 50, 101 or 152\n"
    )
    assert run_script(*sources, folder=tmp_path).returncode == 2
