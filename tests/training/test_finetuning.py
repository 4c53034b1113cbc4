"""Fine-tuning in real Caffe: what is kept, what is new, what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_array
from batchbrew.proto.text import read_prototxt
from batchbrew.training import commands
from batchbrew.training.finetuning import finetuning_solver
from tests.training.conftest import write_lmdb

DATA = ["--train", "lmdb", "--val", "lmdb", "--crop", "8", "--stem", "small"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with an LMDB of 50 pictures of 3 classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    write_lmdb(tmp_path / "lmdb")
    return tmp_path


@pytest.fixture
def weights(folder: Path, run_caffe: Callable[..., Any]) -> Path:
    """A ResNet-10 of 7 classes, saved by real Caffe with its fillers' weights and statistics of its own."""
    from batchbrew.nets.command import main

    options = ["--depth", "10", "--classes", "7", "--train-images", "50", "--val-images", "50", *DATA]
    assert main("resnet", [*options, "--out", "released"]) == 0
    code = """
import json, sys, caffe
net = caffe.Net(sys.argv[1], caffe.TEST)
for name, blobs in net.params.items():
    if net.layer_dict[name].type == "BatchNorm":
        blobs[0].data[...] = 0.5
        blobs[1].data[...] = 4
        blobs[2].data[...] = 1
net.save(sys.argv[2])
print(json.dumps(None))
"""
    run_caffe(code, "released/deploy.prototxt", "released.caffemodel")
    return folder / "released.caffemodel"


def finetune(weights: Path, console: Console, *options: str, net: str = "resnet10", **kept: Any) -> None:
    commands.finetune(
        net, weights, 3, global_stats=kept.get("global_stats", True), generator_options=[*DATA, *options],
        run=Path("run"), gpu=None, cpu=True, seed=1, max_restarts=0, engine="bvlc", caffe_python=None, console=console,
    )  # fmt: skip


def blobs_of(path: Path) -> dict[str, list[np.ndarray[Any, Any]]]:
    model = read_binary(path, caffe_pb2.NetParameter)
    return {layer.name: [blob_array(blob) for blob in layer.blobs] for layer in model.layer if layer.blobs}


def test_all_is_kept_but_the_classifier_and_the_statistics_stay(folder: Path, weights: Path) -> None:
    console = Console(record=True, width=200)
    finetune(weights, console, "--iterations", "4", "--batch", "16", "--base-lr", "0.0001", "--snapshot", "4")
    screen = console.export_text()
    assert "new, from their fillers: classifier_3" in screen
    assert "not used, no such layer in the net: score" in screen
    assert "top-1 error" in screen

    begun, tuned = blobs_of(weights), blobs_of(folder / "run/snapshots/resnet10_finetuned_iter_4.caffemodel")
    assert set(tuned) == {name for name in begun if name != "score"} | {"classifier_3"}
    for name, blobs in tuned.items():
        if name.endswith(("_bn", "_bn1", "_bn2")):
            for one, other in zip(blobs, begun[name], strict=True):
                np.testing.assert_array_equal(one, other)
        elif name != "classifier_3":
            np.testing.assert_allclose(blobs[0], begun[name][0], atol=0.02)
    assert tuned["classifier_3"][0].shape[0] == 3
    assert np.abs(tuned["classifier_3"][0]).max() > 0


def test_the_net_has_ten_times_the_rate_in_its_classifier_and_frozen_statistics(weights: Path) -> None:
    with finetuning_solver("resnet10", weights, 3, global_stats=True, options=DATA) as (file, notes):
        solver = read_prototxt(file, caffe_pb2.SolverParameter)
        net = read_prototxt(Path(solver.net), caffe_pb2.NetParameter)
    assert [param.lr_mult for param in net.layer[-3].param] == [10, 20]
    assert net.layer[-3].name == "classifier_3"
    assert all(layer.batch_norm_param.use_global_stats for layer in net.layer if layer.type == "BatchNorm")
    assert (solver.lr_policy, solver.power) == ("poly", 1)
    assert solver.base_lr == pytest.approx(0.001)
    # 10 epochs of 50 images, 32 an iteration: 15.6
    assert (solver.max_iter, solver.iter_size) == (16, 2)
    assert not any("too noisy" in note for note in notes)


def test_statistics_can_be_collected_anew(weights: Path) -> None:
    with finetuning_solver("resnet10", weights, 3, global_stats=False, options=DATA) as (file, _):
        net = read_prototxt(Path(read_prototxt(file, caffe_pb2.SolverParameter).net), caffe_pb2.NetParameter)
    assert not any(layer.batch_norm_param.use_global_stats for layer in net.layer)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            "resnet18",
            "has no weights for layer_64_2_conv1, layer_64_2_conv2, layer_128_2_conv1 and 5 more of resnet18",
        ),
        ("resnet34-he", "layer conv1 has 2 blobs there and 1 in the net"),
        ("resnet", "--net resnet is not known"),
        ("alexnet5", "--net alexnet5 is not known"),
        ("vgg16-he", "--net vgg16-he is not known"),
        ("lenet", "--net lenet is not known"),
    ],
)
def test_weights_or_names_that_do_not_fit_are_refused(weights: Path, net: str, message: str) -> None:
    options = [option for option in DATA if option not in ("--stem", "small")] if net[0] != "r" else DATA
    with (
        pytest.raises(InputError, match=message),
        finetuning_solver(net, weights, 3, global_stats=True, options=options),
    ):
        pass
