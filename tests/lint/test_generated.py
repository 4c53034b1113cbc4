"""Lint has nothing against what the generators write: no error, no warning, and only notes that are meant."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchbrew.lint.linter import lint_file
from batchbrew.nets import resnet, resnet_he, vgg
from batchbrew.nets.command import main

SOURCES = (
    *("--train", "train.txt", "--val", "val.txt", "--source-type", "list", "--image-root", "."),
    *("--classes", "10", "--epochs", "2", "--batch", "32", "--out", "model"),
)
FAMILIES: list[tuple[str, ...]] = [
    *(("alexnet", *more) for more in ((), ("--original",), ("--scale",))),
    *(
        ("vgg", "--depth", str(depth), *more)
        for depth in vgg.DEPTHS
        for more in ((), ("--original",), ("--scale",))
    ),
    *(("resnet", "--depth", str(depth)) for depth in resnet.DEPTHS),
    ("resnet", "--depth", "10", "--stem", "small", "--crop", "32"),
    *(("resnet", "--depth", str(depth), "--variant", "he") for depth in resnet_he.DEPTHS),
    ("resnet", "--depth", "50", "--variant", "he", "--stride-on", "3x3"),
]
SMALLEST: list[tuple[str, ...]] = [
    ("alexnet",),
    ("vgg", "--depth", "11", "--scale"),
    ("resnet", "--depth", "10"),
    ("resnet", "--depth", "18", "--variant", "he"),
]
OPTIONS: list[tuple[str, ...]] = [
    ("--global-stats", "--device-batch", "8"),
    ("--bn", "nvcaffe"),
    ("--bn-fraction", "0.9"),
    ("--mean", "104,117,123"),
    ("--classifier-name", "new"),
    ("--lr-mult", "conv*=0"),
    ("--device-batch", "32", "--val-batch", "7"),
    ("--snapshot", "0"),
    ("--lr-policy", "step", "--step-epochs", "1", "--gamma", "0.1"),
    ("--lr-policy", "multistep", "--step-epochs", "0.5", "--step-epochs", "1", "--gamma", "0.1"),
    ("--solver-type", "Adam", "--base-lr", "0.001"),
    ("--solver-type", "RMSProp", "--base-lr", "0.001"),
]
MEANT = {"bn-scale", "bn-global-stats", "snapshot-never"}  # notes


@pytest.fixture(autouse=True)
def _lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name, images in (("train.txt", 320), ("val.txt", 100)):
        Path(name).write_text("".join(f"{number}.jpg {number % 10}\n" for number in range(images)))
    yield


def findings(*options: str) -> list[str]:
    family, *rest = options
    assert main(family, [*rest, *SOURCES], prog="generate") == 0
    found = [f for file in ("solver.prototxt", "deploy.prototxt") for f in lint_file(Path("model") / file)]
    return [
        f"{f.severity} {f.file}:{f.line} {f.rule}: {f.what}" for f in found if not _meant(f.severity, f.rule)
    ]


def _meant(severity: str, rule: str) -> bool:
    return severity == "note" and rule in MEANT


@pytest.mark.parametrize("family", FAMILIES, ids=" ".join)
def test_every_network_is_quiet(family: tuple[str, ...]) -> None:
    assert findings(*family) == []


@pytest.mark.parametrize("option", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("family", SMALLEST, ids=" ".join)
def test_every_option_is_quiet(family: tuple[str, ...], option: tuple[str, ...]) -> None:
    assert findings(*family, *option) == []


def test_sources_that_are_not_there_yet_are_told() -> None:
    Path("train.txt").unlink()
    assert [line.split(": ")[1] for line in findings("resnet", "--depth", "10", "--train-images", "320")] == [
        f"train.txt does not exist, seen from {Path.cwd()}"
    ]


def test_a_small_batch_is_told() -> None:
    (found,) = findings("resnet", "--depth", "10", "--device-batch", "8")
    assert found.startswith("warning model/solver.prototxt:")
    assert "bn-iter-size: 4 passes of 8 images make a batch of 32, but BatchNorm sees 8 at a time" in found
