"""A net and a data set so small that real Caffe trains on them at hundreds of iterations a second."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np
import pytest

from batchbrew.proto import caffe_pb2

RECORDS, CLASSES, BATCH_SIZE = 50, 3, 8  # 8 does not divide 50, so batches wrap around

NET = """
name: "tiny"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  data_param {{ source: "train_lmdb" backend: LMDB batch_size: {batch_size} }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  data_param {{ source: "train_lmdb" backend: LMDB batch_size: 8 }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "data" top: "bn"
  param {{ lr_mult: 0 }} param {{ lr_mult: 0 }} param {{ lr_mult: 0 }} }}
layer {{ name: "conv" type: "Convolution" bottom: "bn" top: "conv"
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "score" type: "InnerProduct" bottom: "conv" top: "score"
  inner_product_param {{ num_output: {classes} weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy"
  include {{ phase: TEST }} }}
"""


def write_lmdb(folder: Path, records: int = RECORDS, classes: int = CLASSES) -> None:
    """Raw 3×8×8 images whose brightness says their class, more or less."""
    draw = np.random.default_rng(0)
    with (
        lmdb.open(str(folder), map_size=1 << 24) as environment,
        environment.begin(write=True) as transaction,
    ):
        for index in range(records):
            label = index % classes
            pixels = draw.integers(0, 100, (3, 8, 8)) + 60 * label
            datum = caffe_pb2.Datum(
                channels=3, height=8, width=8, label=label, data=pixels.astype(np.uint8).tobytes()
            )
            transaction.put(b"%08d" % index, datum.SerializeToString())


@dataclass(frozen=True)
class TinyModel:
    """A folder that holds a solver, its net and its data; runs begin in it."""

    folder: Path

    @property
    def solver(self) -> Path:
        """The solver's file."""
        return self.folder / "solver.prototxt"

    @property
    def net(self) -> Path:
        """The net's file."""
        return self.folder / "train_val.prototxt"


@pytest.fixture
def tiny_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TinyModel]:
    """Write a tiny model whose solver has the given lines too; the working directory becomes its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")

    def make(*solver_lines: str, batch_size: int = BATCH_SIZE) -> TinyModel:
        write_lmdb(tmp_path / "train_lmdb")
        model = TinyModel(tmp_path)
        model.net.write_text(NET.format(batch_size=batch_size, classes=CLASSES))
        lines = (
            'net: "train_val.prototxt"',
            "base_lr: 0.01", 'lr_policy: "poly"', "power: 1", "momentum: 0.9", "weight_decay: 0.0001",
            "display: 10", 'snapshot_prefix: "tiny"', "random_seed: 7", "solver_mode: CPU", *solver_lines,
        )  # fmt: skip
        model.solver.write_text("\n".join(lines) + "\n")
        return model

    return make
