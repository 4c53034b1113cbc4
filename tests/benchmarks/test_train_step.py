"""What train_step.py does with its options; nothing is measured here."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import train_step
from asking import Measured
from benchmark_nets import BenchmarkNet
from step_times import Length
from subjects import Place, Subject

from batchbrew.errors import EngineError

SECONDS = {"bvlc": 4.0, "engine_fp32": 2.0, "plain_fp32": 1.0, "engine_bf16": 0.5}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Who would have been measured: (net, batch, subjects, place, length)."""
    calls: list[tuple[Any, ...]] = []

    def measure(
        net: BenchmarkNet, subjects: Sequence[Subject], place: Place, length: Length, told: object
    ) -> dict[str, Measured]:
        names = [each.name for each in subjects]
        calls.append((net.name, net.batch, names, place.gpu, length))
        return {name: Measured([SECONDS.get(name, 1.0)], 1 << 20) for name in names}

    monkeypatch.setattr(train_step, "measure", measure)
    monkeypatch.setattr(train_step, "cpu_has_bf16", lambda: True)
    monkeypatch.setattr(train_step, "keep", lambda found, name: calls.append((name, len(found["rows"]))))
    return calls


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["train_step.py", *arguments])
    return train_step.main()


def test_json_is_one_line(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--nets", "resnet10", "alexnet", "--rounds", "1", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["geomean_fp32"], found["geomean_bf16"], found["geomean_fp32_plain"]) == (2.0, 8.0, 0.5)
    assert [row["net"] for row in found["rows"]] == ["resnet10", "alexnet"]
    everybody = ["bvlc", "engine_fp32", "plain_fp32", "engine_bf16", "plain_bf16"]
    assert asked[0] == ("resnet10", 16, everybody, None, Length(1, 2, 0))


def test_without_bvlc(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--nets", "vgg19", "--without", "bvlc", "--precisions", "fp32", "--json")
    assert asked[0][2] == ["engine_fp32", "plain_fp32"]
    found = json.loads(capsys.readouterr().out)
    assert found["geomean_fp32"] is None
    assert found["geomean_fp32_plain"] == 0.5


def test_where_the_cpu_has_no_bf16(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_step, "cpu_has_bf16", lambda: False)
    run(monkeypatch, "--nets", "vgg19")
    assert asked[0][2] == ["bvlc", "engine_fp32", "plain_fp32"]


def test_on_a_gpu(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "--gpu", "1", "--nets", "resnet50", "--batch", "resnet50=64")
    subjects = ["engine_tf32", "plain_tf32", "engine_bf16", "plain_bf16"]
    assert asked == [("resnet50", 64, subjects, 1, Length(5, 20, 5))]


def test_only_what_leaves_nothing_out_is_kept(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch)
    assert asked[-1] == ("train_step", 4)
    for left_out in (["--nets", "vgg19"], ["--without", "plain"], ["--precisions", "fp32"], ["--json"]):
        asked.clear()
        run(monkeypatch, *left_out)
        assert not [each for each in asked if each[0] == "train_step"]


def test_an_engine_that_fails(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> None:
        raise EngineError("bvlc ended with 1: no such file")

    monkeypatch.setattr(train_step, "measure", fail)
    assert run(monkeypatch, "--nets", "vgg19", "--json") == 1
    assert capsys.readouterr().err == "train_step: error: bvlc ended with 1: no such file\n"
