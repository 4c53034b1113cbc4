"""`batchbrew train` and `batchbrew test` between their options and the engine."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from batchbrew.errors import EngineError, InputError
from batchbrew.training import commands
from batchbrew.training.run_folder import open_run
from batchbrew.training.snapshots import SnapshotLedger
from tests.training.conftest import CLASSES, RECORDS, TinyModel, write_lmdb

Make = Callable[..., TinyModel]
QUIET = Console(quiet=True)


def train(solver: Path | None, **options: Any) -> None:
    defaults: dict[str, Any] = {
        "run": Path("run"), "resume": False, "weights": [], "gpu": None, "cpu": False, "seed": None,
        "max_restarts": 5, "engine": "bvlc", "caffe_python": None, "console": QUIET,
    }  # fmt: skip
    commands.train(solver, **{**defaults, **options})


def test(net: Path | None = None, **options: Any) -> None:
    defaults: dict[str, Any] = {
        "run": None, "weights": None, "val": None, "images": None, "gpu": None, "cpu": False, "engine": "bvlc",
        "caffe_python": None, "as_json": True, "console": Console(width=60),
    }  # fmt: skip
    commands.test(net, **{**defaults, **options})


test.__test__ = False  # type: ignore[attr-defined]  # a helper


def seeds_of(run: Path) -> list[int]:
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [event["seed"] for event in events if event["event"] == "attempt"]


def test_a_run_is_moved_resumed_there_and_tested(
    tiny_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model("max_iter: 20", "snapshot: 10")
    train(model.solver, seed=42)
    moved = tmp_path / "moved"
    Path("run").rename(moved)
    solver = moved / "solver.prototxt"
    solver.write_text(solver.read_text().replace("max_iter: 20", "max_iter: 30"))
    model.net.unlink()  # the run has its own
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # and its own working directory
    train(None, run=moved, resume=True)
    assert [snapshot.iteration for snapshot in SnapshotLedger(moved / "snapshots").good()] == [30, 20, 10]
    assert seeds_of(moved) == [42, 43]
    assert not (tmp_path / "run").exists()
    assert (moved / "convergence.png").exists()
    capsys.readouterr()

    test(run=moved)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["images"], printed["classes"], printed["top5_error"]) == (RECORDS, CLASSES, None)
    assert printed["weights"].endswith("moved/snapshots/tiny_iter_30.caffemodel")
    assert json.loads((moved / "test.json").read_text()) == printed

    # --val is relative to where the user is, not to where the run was begun; the text is for people
    write_lmdb(elsewhere / "val_lmdb", records=4, classes=2)
    test(run=moved, val="val_lmdb", images=3, as_json=False)
    text = capsys.readouterr().out
    assert "tiny_iter_30.caffemodel, 3 images, 3 classes, one centre crop each:\n  top-1 error" in text
    assert "always the commonest    33.33%" in text
    assert "top-5" not in text


def test_weights_to_begin_with_and_what_has_no_weights_is_said(
    tiny_model: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model("max_iter: 2", "snapshot: 2")
    train(model.solver, run=Path("one"))
    weights = Path("one/snapshots/tiny_iter_2.caffemodel")
    assert seeds_of(Path("one")) == [7]  # the solver's
    model.net.write_text(model.net.read_text().replace('"score"', '"other"'))
    capsys.readouterr()
    test(model.net, weights=weights)
    captured = capsys.readouterr()
    assert json.loads(captured.out)["untrained"] == ["other"]
    assert captured.err == f"warning: {weights} holds no weights for other: left as their fillers say\n"
    model.solver.write_text(model.solver.read_text().replace("base_lr: 0.01", "base_lr: 1e-30"))
    train(model.solver, run=Path("two"), weights=[weights])
    two = Path("two/snapshots/tiny_iter_2.caffemodel")
    assert conv_weights(two) == conv_weights(weights)  # at no rate they stay as they came


def conv_weights(model: Path) -> list[float]:
    from batchbrew.proto import caffe_pb2
    from batchbrew.proto.binary import read_binary

    layers = {layer.name: layer for layer in read_binary(model, caffe_pb2.NetParameter).layer}
    return list(layers["conv"].blobs[0].data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": None}, r"no solver is named: batchbrew train SOLVER\.prototxt"),
        ({"solver": None, "resume": True, "run": None}, "--resume needs --run DIR"),
        ({"solver": None, "resume": True, "run": Path("nowhere")}, "nowhere holds no run"),
        ({"solver": Path("resnet.yaml")}, r"resnet\.yaml is a recipe: add --train SOURCE"),
        ({"solver": Path("nowhere.prototxt")}, r"nowhere\.prototxt is not there"),
        ({"cpu": True, "gpu": "0"}, "--cpu and --gpu contradict each other"),
        ({"gpu": "0,1"}, "--gpu 0,1: one GPU at a time is supported"),
        ({"gpu": "all"}, "--gpu all: one GPU at a time"),
        ({"gpu": "-1"}, "--gpu -1"),
        ({"gpu": "²"}, "--gpu ²"),
        (
            {"gpu": "0"},
            r"--gpu 0 cannot be used: Caffe gave up: .*Cannot use GPU in CPU-only Caffe.*\(this Caffe has",
        ),
        (
            {"gpu": "7", "engine": "torch"},
            "--gpu 7 cannot be used: the torch engine gave up: set_mode_gpu: PyTorch finds no CUDA GPU here",
        ),
        (
            {"precision": "bf16"},
            r"precision bf16 needs --engine torch: bvlc computes in fp32 \(--precision fp32\)",
        ),
        ({"precision": "fp16", "engine": "torch"}, "--precision fp16 is unknown: there are fp32, tf32, bf16"),
        (
            {"precision": "tf32", "engine": "torch"},
            "precision tf32 is for GPUs, and this is to run on the CPU",
        ),
        ({"seed": -2}, "--seed -2"),
        ({"seed": 2**31}, "--seed 2147483648"),
        (
            {"engine": "torch", "caffe_python": Path("python3")},
            "--caffe-python names a real Caffe, which --engine torch",
        ),
        ({"shuffle": True}, "--shuffle needs --engine torch: the data layers of bvlc read in one order"),
        ({"engine": "tensorflow"}, "--engine tensorflow is unknown: there are torch and bvlc"),
        ({"weights": [Path("gone.caffemodel")]}, r"gone\.caffemodel is not there"),
    ],
)
def test_what_train_refuses(tiny_model: Make, options: dict[str, Any], message: str) -> None:
    model = tiny_model("max_iter: 5")
    options = {"solver": model.solver, **options}
    with pytest.raises((InputError, EngineError), match=message):
        train(options.pop("solver"), **options)
    assert not Path("run").exists()


def test_a_set_of_lmdbs_is_not_for_real_caffe(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 5")
    for name in ("a", "b"):
        Path("set", name).mkdir(parents=True)
        Path("set", name, "data.mdb").touch()
    data = 'layer { name: "images" type: "Data" top: "x" data_param { source: "set" backend: LMDB batch_size: 1 } }'
    model.net.write_text(model.net.read_text() + data)
    with pytest.raises(
        InputError, match="layer images reads set, a set of LMDBs, which needs --engine torch: bvlc"
    ):
        train(model.solver)
    assert not Path("run").exists()


def test_a_caffe_that_is_not_there(tiny_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("max_iter: 5")
    with pytest.raises(EngineError, match=r"nowhere \(from --caffe-python\) is not an executable Python"):
        train(model.solver, caffe_python=Path("nowhere"))
    monkeypatch.setenv("BATCHBREW_CAFFE_PYTHON", "/nowhere")
    with pytest.raises(EngineError, match=r"/nowhere \(from BATCHBREW_CAFFE_PYTHON\)"):
        test(model.net, weights=Path("w.caffemodel"))
    assert not Path("run").exists()


def test_what_test_refuses(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 5")
    for options, message in (
        ({"net": model.net}, r"name what to test: batchbrew test NET\.prototxt --weights"),
        ({"weights": Path("w")}, "name what to test"),
        ({"net": model.net, "run": Path("run")}, "--run names net and weights itself"),
        ({"run": Path("nowhere")}, "nowhere holds no run"),
    ):
        with pytest.raises(InputError, match=message):
            test(**options)


def test_a_run_without_any_snapshot_cannot_be_tested(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 5")
    text = model.net.read_text()
    model.net.write_text(text.replace("Convolution", "Konvolution"))
    with pytest.raises(EngineError, match=r"stopped at iteration 0: .*Unknown layer type: Konvolution"):
        train(model.solver)
    with pytest.raises(
        InputError, match=r"run has no good snapshot yet: train on, or look at run/train\.log"
    ):
        test(run=Path("run"))
    shutil.copy(model.net, "run/train_val.prototxt")
    with open_run(Path("run")) as folder:
        assert not folder.ledger.good()


def test_labels_that_are_no_class_are_refused_before_training(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 4")
    model.net.write_text(model.net.read_text().replace("num_output: 3", "num_output: 2"))
    with pytest.raises(
        InputError, match=r"num_output is 2, so labels go from 0 to 1, but train_lmdb has label 2"
    ):
        train(model.solver, run=Path("run"))
    assert not Path("run").exists()
