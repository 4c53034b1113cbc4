"""What the worker asks of a Caffe and reports of it, told by a pycaffe that only counts."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchbrew.training.engine_process import EngineProcess, Event
from batchbrew.training.engines import Engine, bvlc_engine

# Iteration i has loss i: after the pass a number, or as on a GPU one that can be asked for later. `waited` counts how
# often somebody asked. An iteration takes `seconds` by a clock of its own.
PYCAFFE = """
import os, signal, time, types
import numpy as np
mode = []
waited = [0]
clock = [0]
time.time = lambda: clock[0]
def set_mode_cpu(): mode.append("cpu")
def set_mode_gpu(): mode.append("gpu")
def set_device(gpu): mode.append(gpu)
{set_precision}

class Later:
    def __init__(self, number): self.number = number
    def sum(self): return Later(self.number)
    def __float__(self):
        waited[0] += 1
        return float(self.number)

class Blob:
    shape = (5, 3)
    number = 0
    @property
    def {numbers}(self): return Later(self.number)

class Solver:
    keep_blobs = True
    iter = 0
    test_nets = ()
    def __init__(self):
        blobs = {{"score": Blob(), "loss": Blob()}}
        layers = [types.SimpleNamespace(type="Input"), types.SimpleNamespace(type="SoftmaxWithLoss")]
        self.net = types.SimpleNamespace(
            blobs=blobs, blob_loss_weights={{"loss": 0.5}}, params={{}}, layers=layers, _layer_names=["in", "out"],
            top_names={{"in": ["score"], "out": ["loss"]}}, bottom_names={{"in": [], "out": ["score"]}},
            forward=lambda: None,
        )
    def add_callback(self, start, ready): self.callbacks = start, ready
    def snapshot(self): pass
    def solve(self):
        mode.append("keep_blobs %s" % self.keep_blobs)
        print("asked for:", *mode, flush=True)
        for self.iter in range(10):
            {before}
            self.callbacks[0]()
            self.net.blobs["loss"].number = self.iter
            clock[0] += {seconds}
            self.callbacks[1]()
        self.iter = 10
        self.callbacks[0]()
        print("waited", waited[0], flush=True)

get_solver = lambda path: Solver()
"""

Train = Callable[..., tuple[list[Event], list[str], str | None]]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(
        *,
        set_precision: bool = True,
        numbers: str = "data_tensor",
        seconds: float = 0,
        before: str = "pass",
        **job: Any,
    ) -> tuple[list[Event], list[str], str | None]:
        setter = 'def set_precision(name): mode.append("precision " + name)' if set_precision else ""
        text = PYCAFFE.format(set_precision=setter, numbers=numbers, seconds=seconds, before=before)
        (tmp_path / "caffe.py").write_text(text)
        defaults: dict[str, Any] = {
            "task": "train", "solver": "s", "weights": [], "solverstate": None, "gpu": None, "skip_batches": 0,
            "snapshot": 4, "snapshot_prefix": "p",
        }  # fmt: skip
        process = EngineProcess(_engine(), {**defaults, **job})
        messages = list(process.messages())
        events = [message for message in messages if isinstance(message, Event)]
        lines = [
            message.text for message in messages if message is not None and not isinstance(message, Event)
        ]
        return events, lines, process.failure()

    return run


def _engine() -> Engine:
    return bvlc_engine(Path(sys.executable))


def told(events: list[Event]) -> list[tuple[str, Any]]:
    """Names and iterations of events; of the started worker only that it did."""
    return [(event.name, event.fields.get("iteration")) for event in events if event.name != "started"]


IN_ORDER = [
    *[("iteration", number) for number in range(4)], ("snapshot", 4),
    *[("iteration", number) for number in range(4, 8)], ("snapshot", 8),
    ("iteration", 8), ("iteration", 9), ("last_loss", None), ("snapshot", 10), ("finished", 10),
]  # fmt: skip


@pytest.mark.parametrize("numbers", ["data", "data_tensor"])
def test_on_a_cpu_each_loss_is_reported_at_once(train: Train, numbers: str) -> None:
    events, lines, failure = train(numbers=numbers)
    assert failure is None
    assert lines == ["asked for: cpu precision fp32 keep_blobs False", "waited 10"]
    assert told(events) == IN_ORDER
    assert [event.fields["loss"] for event in events if event.name == "iteration"] == [
        repr(number / 2) for number in range(10)
    ]
    assert (events[0].fields["classes"], events[0].fields["batch_size"]) == (3, 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_began_with_signals_ignored_is_stopped_all_the_same(train: Train, number: signal.Signals) -> None:
    handler = signal.signal(number, signal.SIG_IGN)  # as under nohup, or in the background of a script
    try:
        events, _, failure = train(before=f"self.iter == 5 and os.kill(os.getpid(), {int(number)})")
    finally:
        signal.signal(number, handler)
    assert failure is None
    assert told(events)[-4:] == [("snapshot", 4), ("iteration", 4), ("snapshot", 5), ("stopped", 5)]


def test_on_a_gpu_losses_are_asked_for_together_yet_before_a_snapshot(train: Train) -> None:
    events, lines, failure = train(gpu=1, precision="bf16")
    assert failure is None
    assert lines == ["asked for: 1 gpu precision bf16 keep_blobs False", "waited 8"]  # 8 and 9: in the end
    assert told(events) == IN_ORDER
    losses = [event.fields["loss"] for event in events if event.name == "iteration"]
    assert losses == [repr(number / 2) for number in range(10)]


def test_on_a_gpu_slow_iterations_are_told_soon(train: Train) -> None:
    events, lines, failure = train(gpu=0, seconds=0.125, snapshot=0)  # so 0.25 seconds in two of them
    assert failure is None
    assert lines[-1] == "waited 10"
    events, lines, failure = train(gpu=0, seconds=0.0625, snapshot=0)
    assert lines[-1] == "waited 8"  # four at a time; the rest in the end
    assert [each for each in told(events) if each[0] == "iteration"] == [
        ("iteration", number) for number in range(10)
    ]


def test_a_caffe_that_knows_no_precisions(train: Train) -> None:
    _, lines, failure = train(set_precision=False)
    assert failure is None and lines[0] == "asked for: cpu keep_blobs False"
    _, _, failure = train(set_precision=False, precision="bf16")
    assert failure is not None and "this Caffe computes in fp32 alone, not in bf16" in failure
