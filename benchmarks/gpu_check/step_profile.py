"""A profile of training steps, of the engine and of plain PyTorch: which kernels, and what share of the time has each.

On the CPU it is PyTorch's operators in place of kernels.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmark_nets import NETS, BenchmarkNet, write_synthetic
from plain_subject import training_step
from serving import wait_for
from torch.profiler import ProfilerActivity, profile

from batchbrew.caffe import alias
from gpu_check.kernels import busy_share, by_kind, device_events, shares, summed
from gpu_check.settings import Settings

WARM_UP_STEPS = 5
LISTED, SHOWN = 40, 12
Found = dict[str, Any]


def run(settings: Settings) -> Found:
    """Both, in each precision."""
    found: Found = {"net": settings.profiled.name, "batch": settings.profiled.batch, "profiles": {}}
    for precision in settings.precisions:
        for name, make in (("engine", engine_steps), ("plain", plain_steps)):
            with tempfile.TemporaryDirectory(prefix="batchbrew-gpu-check-") as folder:
                train = make(settings.profiled, settings.gpu, precision, Path(folder))
                found["profiles"][f"{name}_{precision}"] = profiled(train, settings, Path(folder))
                del train
                if settings.gpu is not None:
                    torch.cuda.empty_cache()
    return found


def engine_steps(net: BenchmarkNet, gpu: int | None, precision: str, folder: Path) -> Callable[[int], object]:
    """A function that trains so many iterations on the engine, in this process."""
    alias.install()
    import caffe_subject  # after the alias: it imports caffe

    solver_file = str(write_synthetic(net, folder))
    job = {"solver": solver_file, "gpu": gpu, "precision": precision, "classes": net.classes}
    step: Callable[[int], object] = caffe_subject.made_solver(job).step
    return step


def plain_steps(net: BenchmarkNet, gpu: int | None, precision: str, folder: Path) -> Callable[[int], object]:
    """The same in plain PyTorch."""
    job = {
        "net": net.name, "torchvision": False, "batch": net.batch, "crop": net.crop, "classes": net.classes,
        "gpu": gpu, "precision": precision,
    }  # fmt: skip
    step = training_step(job)

    def train(steps: int) -> None:
        for _ in range(steps):
            step()

    return train


def profiled(train: Callable[[int], object], settings: Settings, folder: Path) -> Found:
    """The time of a step without the profiler, and with it what is done in it."""
    steps, gpu = settings.profiled_steps, settings.gpu
    train(WARM_UP_STEPS if gpu is not None else 1)
    wait_for(gpu)
    begin = time.perf_counter()
    train(steps)
    wait_for(gpu)
    found: Found = {"step_ms": round(1000 * (time.perf_counter() - begin) / steps, 3)}
    activity = ProfilerActivity.CPU if gpu is None else ProfilerActivity.CUDA
    with profile(activities=[activity]) as recorded:
        train(steps)
        wait_for(gpu)
    if gpu is None:
        averages = recorded.key_averages()
        work = {each.key: (each.count, float(each.self_cpu_time_total)) for each in averages}
        return found | {"operators": shares(work, steps, LISTED)}
    trace = folder / "trace.json"
    recorded.export_chrome_trace(str(trace))
    events = device_events(json.loads(trace.read_text(encoding="utf-8"))["traceEvents"])
    work = summed(events)
    return found | {
        "kernels_a_step": round(len(events) / steps, 1),
        "busy_share": round(busy_share(events), 4),
        "kinds": shares(by_kind(work), steps, LISTED),
        "kernels": shares(work, steps, LISTED),
    }


def faults(found: Found) -> list[str]:
    """Profiles in which nothing was done."""
    return [
        f"the profile of {name} is empty"
        for name, each in found["profiles"].items()
        if not (each.get("kernels") or each.get("operators"))
    ]


def lines(found: Found) -> list[str]:
    """For the screen."""
    told = []
    for name, each in found["profiles"].items():
        busy = (
            f", {each['kernels_a_step']:g} kernels, busy {100 * each['busy_share']:.1f}%"
            if "kernels" in each
            else ""
        )
        told.append(
            f"{NETS[found['net']].title}, batch {found['batch']}, {name}: {each['step_ms']:.2f} ms a step{busy}"
        )
        for rows in (each.get("kinds"), each.get("kernels") or each["operators"]):
            for row in (rows or [])[:SHOWN]:
                told.append(
                    f"  {100 * row['share']:5.1f}%  {row['ms_a_step']:9.3f} ms  {row['calls_a_step']:7g}  {row['name']}"
                )
            told.append("")
    return told
