"""Two processes that train together: the same as one with all their images."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from batchbrew import caffe
from batchbrew.caffe.parallel import NCCL
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_array

IMAGES, ITERATIONS, PROCESSES = 4, 5, 2
NET = """
name: "both"
layer {{ name: "in" type: "Input" top: "x" top: "y"
  input_param {{ shape {{ dim: {images} dim: 3 }} shape {{ dim: {images} dim: 2 }} }} }}
layer {{ name: "a" type: "InnerProduct" bottom: "x" top: "a" {shared}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "frozen" type: "InnerProduct" bottom: "a" top: "f" param {{ lr_mult: 0 }} param {{ lr_mult: 0 }}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "constant" value: 0.3 }} }} }}
layer {{ name: "b" type: "InnerProduct" bottom: "f" top: "b" {shared}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "c" type: "InnerProduct" bottom: "b" top: "c"
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "c" bottom: "y" top: "loss" }}
"""
SOLVER = """
net: "{folder}/net{images}.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 5 momentum: 0.9 clip_gradients: 2
iter_size: 2 random_seed: 3 display: 1 snapshot: 5 snapshot_prefix: "{folder}/s{images}" {more}
"""

# After python/train.py of Caffe, on the CPU; started once for all cases, as importing PyTorch takes long.
LAUNCHER = """
import json, sys
from multiprocessing import Process
import numpy, torch
from batchbrew import caffe

def solve(path, uid, rank, count, images):
    torch.set_num_threads(1)
    caffe.set_mode_cpu()
    caffe.set_solver_count(count)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)
    solver = caffe.SGDSolver(path)
    nccl = caffe.NCCL(solver, uid)
    nccl.bcast()
    solver.add_callback(nccl)
    if solver.param.layer_wise_reduce:
        solver.net.after_backward(nccl)
    feed(solver, rank, images)
    solver.step(solver.param.max_iter)

def feed(solver, rank, images):
    passes = [0]
    def fill(layer):
        if layer == 0:
            numbers = numpy.random.RandomState(passes[0])
            for name in ("x", "y"):
                blob = solver.net.blobs[name]
                everything = numbers.randn(2 * images, blob.shape[1])
                blob.data[...] = everything[rank * images : rank * images + blob.shape[0]]
            passes[0] += 1
    solver.net.before_forward(fill)

if __name__ == "__main__":
    for path, images in json.loads(sys.argv[1]):
        uid = caffe.NCCL.new_uid()
        assert isinstance(uid, bytes)
        processes = [Process(target=solve, args=(path, uid, rank, 2, images)) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
            assert process.exitcode == 0, process
    for path, images in json.loads(sys.argv[2]):
        solver = caffe.SGDSolver(path)
        feed(solver, 0, images)
        solver.step(solver.param.max_iter)
"""
CASES = {
    "layer by layer": ("", ""),
    "all at once": ("layer_wise_reduce: false", ""),
    "shared parameters": ("layer_wise_reduce: false", 'param { name: "w" } param { name: "v" }'),
}


def write(folder: Path, images: int, more: str, shared: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"net{images}.prototxt").write_text(NET.format(images=images, shared=shared))
    path = folder / f"solver{images}.prototxt"
    path.write_text(SOLVER.format(folder=folder, images=images, more=more))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of all cases' snapshots, and the log."""
    folder = tmp_path_factory.mktemp("parallel")
    together, alone = [], []
    for name, (more, shared) in CASES.items():
        together.append((str(write(folder / name, IMAGES, more, shared)), IMAGES))
        alone.append((str(write(folder / name, PROCESSES * IMAGES, more, shared)), IMAGES))
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, json.dumps(together), json.dumps(alone)],
        capture_output=True, text=True, timeout=240, cwd=Path(__file__).parents[2],
        env=os.environ | {"GLOG_minloglevel": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return folder, done.stderr.splitlines()


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one_with_all_images(name: str, trained: tuple[Path, list[str]]) -> None:
    folder = trained[0] / name
    models = [
        read_binary(folder / f"s{images}_iter_{ITERATIONS}.caffemodel", pb.NetParameter)
        for images in (IMAGES, PROCESSES * IMAGES)
    ]
    for together, alone in zip(*(model.layer for model in models), strict=True):
        for mine, expected in zip(together.blobs, alone.blobs, strict=True):
            np.testing.assert_allclose(blob_array(mine), blob_array(expected), rtol=1e-5, atol=1e-7)


def test_the_first_process_alone_writes_the_log(trained: tuple[Path, list[str]]) -> None:
    losses = [line for line in trained[1] if "iter/s" in line]
    assert len(losses) == 2 * ITERATIONS * len(CASES)
    assert sum("Snapshotting to" in line for line in trained[1]) == 2 * len(CASES)


def test_it_can_be_done_here() -> None:
    assert caffe.has_nccl() is True
    first, second = NCCL.new_uid(), NCCL.new_uid()
    assert first.startswith(b"tcp://127.0.0.1:") and first != second


def test_what_cannot_be_joined_is_told(tmp_path: Path) -> None:
    solver = caffe.get_solver(write(tmp_path, IMAGES, "", ""))
    with pytest.raises(InputError, match=r"uid as NCCL\.new_uid"):
        NCCL(solver, b"\0\0")
    shared = caffe.get_solver(write(tmp_path, IMAGES, "", 'param { name: "w" }'))
    with pytest.raises(InputError, match="add layer_wise_reduce: false"):
        NCCL(shared, NCCL.new_uid())
    caffe.set_solver_rank(2)
    try:
        with pytest.raises(InputError, match="solver_rank 2 needs a solver_count"):
            NCCL(solver, NCCL.new_uid())
    finally:
        caffe.set_solver_rank(0)
