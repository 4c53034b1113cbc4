"""Who takes part in a benchmark of training: which engine, how exactly, with which images; and how it is started."""

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark_nets import BenchmarkNet, write_from_lmdb, write_synthetic

from batchbrew.training.engines import bvlc_engine, find_caffe_python, torch_engine

HERE = Path(__file__).parent
BVLC, ENGINE, PLAIN, TORCHVISION = "bvlc", "engine", "plain", "torchvision"


@dataclass(frozen=True)
class Subject:
    """`engine`: BVLC's Caffe, ours, plain PyTorch with a net written by hand, or with torchvision's kin of it.

    Its images come from `lmdb`, or are made up once; those of plain PyTorch always are.
    """

    engine: str
    precision: str = "fp32"
    lmdb: Path | None = None

    @property
    def name(self) -> str:
        """Like engine_bf16 and engine_bf16_lmdb; BVLC has one precision."""
        precision = () if self.engine == BVLC else (self.precision,)
        return "_".join([self.engine, *precision, *(["lmdb"] if self.lmdb else [])])


@dataclass(frozen=True)
class Place:
    """Where subjects compute: on GPU number `gpu` or, if that is None, on so many threads of the CPU."""

    gpu: int | None = None
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Start:
    """A command, and what its environment has more than ours."""

    command: Sequence[str]
    environment: Mapping[str, str]


def start_of(subject: Subject, net: BenchmarkNet, place: Place, folder: Path) -> Start:
    """How to start `subject` training `net`, whose files are written into `folder`.

    The environment of the torch engine (its memory allocator's settings) is that of plain PyTorch, too. Raises
    EngineError where an engine is not installed.
    """
    ours = torch_engine()
    threads = {name: str(place.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    job: dict[str, Any] = {"gpu": place.gpu, "precision": subject.precision, "classes": net.classes}
    if subject.engine in (PLAIN, TORCHVISION):
        other = subject.engine == TORCHVISION
        job |= {
            "net": net.torchvision if other else net.name, "torchvision": other,
            "batch": net.batch, "crop": net.crop,
        }  # fmt: skip
        command = [sys.executable, str(HERE / "plain_subject.py"), json.dumps(job)]
        return Start(command, {**ours.environment, **threads})
    own = folder / subject.name
    if subject.lmdb is None:
        job["solver"] = str(write_synthetic(net, own))
    else:
        job["solver"] = str(write_from_lmdb(net, own, subject.lmdb))
    engine = ours if subject.engine == ENGINE else bvlc_engine(find_caffe_python().path)
    command = [*engine.command, str(HERE / "caffe_subject.py"), json.dumps(job)]
    return Start(command, {**engine.environment, **threads, "GLOG_minloglevel": "2"})


def cpu_has_bf16() -> bool:
    """Does this machine's processor multiply bfloat16?"""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def has_torchvision() -> bool:
    """Is it installed beside PyTorch?"""
    return importlib.util.find_spec("torchvision") is not None
