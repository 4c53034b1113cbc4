"""How a subject of a benchmark serves: it trains so many iterations whenever it is asked, and tells their time.

Several subjects live at the same time, and each is asked in its turn: what the machine does besides meets all of them.
Python 3.6 and up, standard library alone: real Caffe's interpreter runs it too.
"""

import json
import os
import sys
import time
from typing import Any, Callable, Dict, Optional

Answer = Dict[str, Any]


def serve(
    train: Callable[[int], object],
    loss: Callable[[], float],
    gpu: Optional[int],
) -> None:
    """Answer the requests on standard input, a line `{"lead_in": N, "steps": N}` each, until it ends; ends the process.

    `train(N)` trains N iterations, `loss()` is that of the last. First of all `{}` is said: ready.
    """
    print("{}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(train, loss, gpu, **request)), flush=True)
    os._exit(0)  # a Caffe built with Boost.Python can crash while the interpreter tears its nets down


def answer(
    train: Callable[[int], object],
    loss: Callable[[], float],
    gpu: Optional[int],
    lead_in: int,
    steps: int,
) -> Answer:
    """Train `lead_in` iterations that do not count, and then `steps` that do."""
    if lead_in:
        train(lead_in)
    wait_for(gpu)
    begin = time.perf_counter()
    train(steps)
    wait_for(gpu)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "loss": loss(), "peak_bytes": peak_bytes(gpu)}


def wait_for(gpu: Optional[int]) -> None:
    """Until the GPU has done what it was given."""
    if gpu is not None:
        import torch

        torch.cuda.synchronize(gpu)


def peak_bytes(gpu: Optional[int]) -> int:
    """The most memory that this process ever had: on the GPU that of its tensors, else what the kernel counts.

    What the process holds of the GPU without using it is given back: the next subject may need it for its own peak.
    """
    if gpu is None:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    import torch

    torch.cuda.empty_cache()
    return int(torch.cuda.max_memory_allocated(gpu))
