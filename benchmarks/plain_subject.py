"""A subject that trains in plain PyTorch: channels_last, SGD over all parameters at once, autocast for bf16.

Its argument is a JSON object: `net`, a name of plain_nets or, with `torchvision` true, of torchvision.models; `batch`,
`crop`, `classes`; `gpu`, a number or null; `precision`.
"""

import contextlib
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from plain_nets import PLAIN_NETS
from serving import serve
from torch import Tensor, nn
from torch.nn import functional

Job = dict[str, Any]
LEARNING_RATE = 1e-4  # why it is small: benchmark_nets.py


def made_net(job: Job) -> nn.Module:
    """As its author made it."""
    if job["torchvision"]:
        models = importlib.import_module("torchvision.models")
        made = getattr(models, job["net"])(num_classes=job["classes"])
    else:
        made = PLAIN_NETS[job["net"]](job["classes"], job["crop"])
    assert isinstance(made, nn.Module)
    return made


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """In which the forward pass is computed."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def training_step(job: Job) -> Callable[[], Tensor]:
    """A function that does one iteration and returns its loss; the images are the same each time."""
    device = torch.device("cpu" if job["gpu"] is None else f"cuda:{job['gpu']}")
    tf32 = job["precision"] != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (job["batch"], 3, job["crop"], job["crop"]), generator=draw)
    images = pixels.float().to(device, memory_format=torch.channels_last)
    labels = torch.randint(0, job["classes"], (job["batch"],), generator=draw).to(device)
    net = made_net(job).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        net.parameters(), lr=LEARNING_RATE, momentum=0.9, weight_decay=1e-4, foreach=True
    )

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, job["precision"]):
            scores = net(images)
        loss = functional.cross_entropy(scores.float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return step


def main() -> None:
    """Make the net of the job, and serve."""
    job = json.loads(sys.argv[1])
    step = training_step(job)
    last = torch.zeros(())

    def train(steps: int) -> None:
        nonlocal last
        for _ in range(steps):
            last = step()

    serve(train, lambda: float(last), job["gpu"])


if __name__ == "__main__":
    main()
