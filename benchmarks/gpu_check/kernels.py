"""Where a GPU's time goes: kernels of a trace of torch.profiler, by name and by kind."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Of a Chrome trace's events: what runs on the device itself.
ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
# The first that is found in a name says its kind.
KINDS = (
    ("moved", r"memcpy|memset"),
    ("laid out anew, cast", r"nchw_?to_?nhwc|nhwc_?to_?nchw|convert_?tensor|transpose|permute|copy"),
    ("normalisation", r"batch_?norm|bn_|_bn|welford"),
    (
        "convolution, matrix product",
        r"conv|gemm|xmma|cutlass|fprop|dgrad|wgrad|winograd|cublas|nvjet|cudnn|sm\d\d_",
    ),
    ("pooling", r"pool"),
    ("update", r"multi_tensor|foreach|sgd"),
    ("loss", r"softmax|nll|cross_entropy"),
    ("sums", r"reduce"),
    ("element by element", r"elementwise|triton_|relu|threshold|fill"),
)
OTHER = "other"
LONGEST_NAME = 120
Event = Mapping[str, Any]
Work = tuple[int, float]  # calls, microseconds


def kind_of(name: str) -> str:
    """What sort of work a kernel of that name does."""
    for kind, pattern in KINDS:
        if re.search(pattern, name, re.IGNORECASE):
            return kind
    return OTHER


def device_events(trace: Iterable[Event]) -> list[Event]:
    """Those with a duration that ran on the device."""
    return [event for event in trace if event.get("ph") == "X" and event.get("cat") in ON_DEVICE]


def summed(events: Iterable[Event]) -> dict[str, Work]:
    """The calls and microseconds of each name."""
    found: dict[str, Work] = {}
    for event in events:
        calls, microseconds = found.get(event["name"], (0, 0.0))
        found[event["name"]] = calls + 1, microseconds + float(event["dur"])
    return found


def by_kind(work: Mapping[str, Work]) -> dict[str, Work]:
    """The same of each kind of kernels."""
    found: dict[str, Work] = {}
    for name, (calls, microseconds) in work.items():
        before = found.get(kind_of(name), (0, 0.0))
        found[kind_of(name)] = before[0] + calls, before[1] + microseconds
    return found


def shares(work: Mapping[str, Work], steps: int, most: int) -> list[dict[str, Any]]:
    """The `most` longest: calls and milliseconds a step, and the share of all."""
    total = sum(microseconds for _, microseconds in work.values()) or 1.0
    return [
        {
            "name": name[:LONGEST_NAME],
            "calls_a_step": round(work[name][0] / steps, 2),
            "ms_a_step": round(work[name][1] / 1000 / steps, 4),
            "share": round(work[name][1] / total, 4),
        }
        for name in sorted(work, key=lambda each: -work[each][1])[:most]
    ]


def busy_share(events: Sequence[Event]) -> float:
    """For what part of the time from the first event to the end of the last does any run?"""
    spans = sorted((float(event["ts"]), float(event["ts"]) + float(event["dur"])) for event in events)
    if not spans:
        return 0.0
    busy, end = 0.0, spans[0][0]
    for begin, finish in spans:
        busy += max(0.0, finish - max(begin, end))
        end = max(end, finish)
    return busy / ((end - spans[0][0]) or 1.0)
