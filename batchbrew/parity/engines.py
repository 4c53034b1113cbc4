"""The two engines, and running the probe in both at once."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchbrew.errors import EngineError
from batchbrew.training.engines import torch_engine

PROBE = Path(__file__).with_name("probe.py")
# One thread each: sums are then added in the same order every time, and two engines share a small machine.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "GLOG_minloglevel": "2"}


@dataclass(frozen=True)
class ProbedEngine:
    """`command` runs a script in which `import caffe` is this engine. `cases_a_process`: see the probe.

    What is set in it, if not None: `gpu`, the number of the one that computes; `precision` as set_precision takes it;
    `fuses`: are layers computed at once where they can be?
    """

    name: str
    command: Sequence[str]
    cases_a_process: int
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu: int | None = None
    precision: str | None = None
    fuses: bool | None = None

    def settings(self) -> str:
        """What the probe is to set, as it reads it."""
        wanted = {"gpu": self.gpu, "precision": self.precision, "fuses": self.fuses}
        return json.dumps({name: value for name, value in wanted.items() if value is not None})


def bvlc(caffe_python: Path, name: str = "bvlc") -> ProbedEngine:
    """Real Caffe, which ends its process when it refuses something: a process for each case."""
    return ProbedEngine(name, [str(caffe_python)], cases_a_process=1)


def torch(
    name: str = "torch", gpu: int | None = None, precision: str | None = None, fuses: bool | None = None
) -> ProbedEngine:
    """Ours, as its users have it but for what is set; starting a process anew is expensive, and rarely needed."""
    ours = torch_engine()
    return ProbedEngine(name, ours.command, 200, ours.environment, gpu=gpu, precision=precision, fuses=fuses)


def run_probe(engines: Sequence[ProbedEngine], folder: Path, timeout_seconds: float = 3600) -> None:
    """Compute all cases in `folder` in every engine, side by side.

    Raises EngineError if a probe itself ends badly; that a case does is part of its result.
    """
    running = [(engine, _start(engine, folder)) for engine in engines]
    try:
        for engine, process in running:
            _, errors = process.communicate(timeout=timeout_seconds)
            if process.returncode:
                last = (errors.strip().splitlines() or ["it said nothing"])[-1]
                raise EngineError(
                    f"the engine {engine.name} ended with {process.returncode} before it had computed all cases: {last}"
                )
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"an engine has not computed its cases within {timeout_seconds:g} seconds: ask for fewer rounds"
        ) from error
    finally:
        for _, process in running:
            process.kill()
            process.wait()


def _start(engine: ProbedEngine, folder: Path) -> "subprocess.Popen[str]":
    command = [*engine.command, str(PROBE), str(folder), engine.name, str(engine.cases_a_process)]
    command.append(engine.settings())
    environment = {**os.environ, **ENVIRONMENT, **engine.environment}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
