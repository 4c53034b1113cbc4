"""What counts as a fault of a part; what its options say."""

from pathlib import Path

import pytest
from gpu_check import from_lmdb, layer_parity, step_profile, trainings
from gpu_check.settings import PARTS, read_options

from batchbrew.errors import InputError


def trained(precision: str, last_loss: float, error: float) -> dict[str, object]:
    return {"precision": precision, "first_loss": 2.0, "last_loss": last_loss, "top1_error_percent": error}


def test_trainings_that_do_not_learn_or_not_the_same_are_faults() -> None:
    def faults(*rows: dict[str, object], learned_below: float = 0.5) -> list[str]:
        return trainings.faults({"learned_below": learned_below, "rows": list(rows)})

    assert faults(trained("fp32", 0.9, 10), trained("bf16", 0.9, 14)) == []
    assert faults(trained("fp32", 0.9, 10), trained("bf16", 1.1, 14)) == [
        "bf16: the loss went from 2.0 to 1.1 only"
    ]
    assert faults(trained("fp32", 0.9, 10), trained("bf16", 0.9, 16)) == [
        "the errors of fp32, bf16 are apart: [10, 16]"
    ]
    assert len(faults(trained("fp32", float("nan"), 10), trained("bf16", 0.9, 10))) == 1
    assert faults(trained("fp32", 1.9, 10), trained("bf16", 1.9, 50), learned_below=1.0) == []


def test_a_type_that_differs_from_the_cpu_is_a_fault() -> None:
    well = {"broken": [], "configurations": 3}
    assert layer_parity.faults({"types": {"ReLU": well}}) == []
    assert layer_parity.faults(
        {"types": {"ReLU": well, "LRN": {"broken": [{}, {}], "configurations": 3}}}
    ) == ["differs from the CPU: LRN (2)"]
    assert layer_parity.faults({"types": {"ReLU": {"broken": [], "configurations": 0}}}) == [
        "nothing was compared"
    ]


def test_an_empty_profile_is_a_fault() -> None:
    profiles = {"engine_bf16": {"kernels": []}, "plain_bf16": {"operators": [{}]}}
    assert step_profile.faults({"profiles": profiles}) == ["the profile of engine_bf16 is empty"]


def test_lines_of_the_lmdb() -> None:
    rates = {"engine_bf16_lmdb": {"images_per_second": 4700.0}, "engine_bf16": {"images_per_second": 5000.0}}
    row = {"net": "resnet50", "batch": 256, "subjects": rates, "bf16_lmdb_by_synthetic": 0.94}
    assert from_lmdb.lines({"rows": [row]}) == [
        "ResNet-50, batch 256, bf16: 4,700.0 images/s from the LMDB, 5,000.0 made up: 94.0%"
    ]


def test_options() -> None:
    on_gpu = read_options(
        ["--gpu", "1", "--nets", "resnet50", "--batch", "resnet50=64", "--precisions", "tf32"]
    )
    assert on_gpu.settings.gpu == 1
    assert [(net.name, net.batch) for net in on_gpu.settings.nets] == [("resnet50", 64)]
    assert (on_gpu.settings.profiled.name, on_gpu.settings.profiled.batch) == ("resnet50", 64)
    assert on_gpu.settings.precisions == ["tf32"]
    assert (on_gpu.parts, on_gpu.out) == (PARTS, Path("gpu_check.json"))
    usual = read_options([]).settings
    assert (usual.gpu, [net.batch for net in usual.nets]) == (0, [512, 128, 512, 256])
    tiny = read_options(["--cpu", "--profiled", "vgg19"]).settings
    assert tiny.gpu is None
    assert [(net.name, net.batch, net.crop) for net in tiny.nets] == [("resnet10", 2, 64)]
    assert (tiny.profiled.name, tiny.profiled.crop) == ("vgg19", 64)
    with pytest.raises(InputError, match="--batch vgg=1 is not NET=N"):
        read_options(["--batch", "vgg=1"])
