"""A GPU that is none: tensors that say they are on cuda:0, and are computed by the CPU.

Whoever mixes them with tensors of the CPU, asks for a number of theirs while a pass runs, or calls what only a CPU has,
gets the error that a GPU's user would get, or a worse one. CUDA's own kernels, and the ways in which those of both
devices differ, are written down in OWN_KERNELS, after PyTorch's source (aten/src/ATen/native/cuda: Normalization.cu,
FusedSgdKernel.cu).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map_only

from batchbrew.caffe import memory_limit, mode
from batchbrew.caffe.data import staging

aten = torch.ops.aten
DEVICE = torch.device("cuda", 0)
# What moves numbers between devices, and what makes the host wait for the GPU.
MOVING = {aten._to_copy.default, aten.copy_.default}
WAITING = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.is_nonzero.default,
    aten.equal.default,
}


class Waited(Exception):
    """The host would have waited for the GPU."""


class OnGpu(Tensor):
    """Says that it is on the GPU; `held` is on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnGpu":
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            layout=held.layout, device=DEVICE,
        )  # fmt: skip
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    # PyTorch's own would first turn to the device:

    def __getitem__(self, index: Any) -> "OnGpu":
        with _disable_current_modes():
            return OnGpu(self.held[tree_map_only(OnGpu, lambda each: each.held, index)])

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __invert__(self) -> Tensor:
        return self.bitwise_not()

    def nonzero(self) -> Tensor:  # type: ignore[override]
        return aten.nonzero.default(self)  # type: ignore[no-any-return]

    def contiguous(self, memory_format: torch.memory_format = torch.contiguous_format) -> Tensor:
        if self.is_contiguous(memory_format=memory_format):
            return self
        return aten.clone.default(self, memory_format=memory_format)  # type: ignore[no-any-return]

    def copy_(self, source: Tensor, non_blocking: bool = False) -> Tensor:
        return aten.copy_.default(self, source)  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise AssertionError(f"{func} outside of the fake GPU")


class FakeGpu(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """`may_wait`: may the host ask for numbers now?

    `called`: names of operators. `laid_out_anew`: shapes N×C×H×W of what went from one memory format to another.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.may_wait = True
        self.called: set[str] = set()
        self.laid_out_anew: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
        far = [each for each in given if isinstance(each, OnGpu)]
        wanted = kwargs.get("device")
        to_gpu = wanted is not None and torch.device(wanted).type == "cuda"
        kwargs.pop("pin_memory", None)
        if not far and not to_gpu:
            return func(*args, **kwargs)
        self._check(func, given, far, wanted, to_gpu)
        self.called.add(func.__name__)
        if func is aten.clone.default and given[0].dim() == 4 and kwargs.get("memory_format") is not None:
            self.laid_out_anew.append(tuple(given[0].shape))
        held = tree_map_only(OnGpu, lambda each: each.held, (args, kwargs))
        inner = held[1] | ({"device": "cpu"} if wanted is not None else {})
        inner.pop("non_blocking", None)
        found = OWN_KERNELS.get(func, func)(*held[0], **inner)
        if wanted is not None and not to_gpu:
            return found
        outer = {id(each.held): each for each in far}
        return tree_map_only(
            Tensor, lambda each: outer[id(each)] if id(each) in outer else OnGpu(each), found
        )

    def _check(self, func: Any, given: list[Tensor], far: list[OnGpu], wanted: Any, to_gpu: bool) -> None:
        if func.namespace == "mkldnn":
            raise RuntimeError(f"{func} is for the CPU alone")
        leaves = wanted is not None and not to_gpu and bool(far)
        leaves = leaves or (func is aten.copy_.default and len(far) == 1 and not isinstance(given[0], OnGpu))
        if (func in WAITING or leaves) and not self.may_wait:
            raise Waited(str(func))
        apart = [each for each in given if not isinstance(each, OnGpu) and each.dim()]
        if far and apart and func not in MOVING:
            raise RuntimeError(
                f"{func}: expected all tensors to be on the same device, but found cuda:0 and cpu"
            )


def _rows(x: Tensor) -> bool:
    """Whether CUDA's kernels for BatchNorm take it as channels_last."""
    return (
        x.is_contiguous(memory_format=torch.channels_last)
        if x.dim() == 4
        else x.dim() == 2 and x.is_contiguous()
    )


def _batch_norm_update_stats(x: Tensor, mean: None, variance: None, momentum: float) -> tuple[Tensor, Tensor]:
    assert mean is None and variance is None
    variance_of, mean_of = torch.var_mean(x.float(), [0, *range(2, x.dim())], correction=0)
    return mean_of, variance_of


def _batch_norm_elemt(
    x: Tensor, factors: Tensor | None, shifts: Tensor | None, mean: Tensor, inverse: Tensor, eps: float
) -> Tensor:
    shape = (1, -1, *[1] * (x.dim() - 2))
    y = (x.float() - mean.view(shape)) * inverse.view(shape)
    y = y if factors is None else y * factors.view(shape)
    y = y if shifts is None else y + shifts.view(shape)
    return torch.empty_like(x).copy_(y)


def _native_batch_norm_backward(
    dy: Tensor, x: Tensor, factors: Tensor | None, *rest: Any
) -> tuple[Tensor | None, Tensor, Tensor]:
    wanted = rest[-1]
    assert dy.stride() == x.stride()
    found: tuple[Any, Any, Any] = aten.native_batch_norm_backward.default(dy, x, factors, *rest)
    if factors is None and (wanted[1] or wanted[2]):
        if not _rows(x):
            raise RuntimeError("tensor does not have a device")
        return found[0], torch.empty(0), torch.empty(0)
    return found


def _fused_sgd(weights: list[Tensor], gradients: list[Tensor], buffers: list[Tensor], **how: Any) -> None:
    assert how["momentum"] > 0
    for one, *others in zip(weights, gradients, buffers, strict=True):
        for other in others:
            same = all(
                length == 1 or a == b
                for length, a, b in zip(one.shape, one.stride(), other.stride(), strict=True)
            )
            assert one.dtype == other.dtype and one.shape == other.shape and same
    aten._fused_sgd_.default(weights, gradients, buffers, **how)


def _native_batch_norm(*args: Any) -> Any:
    raise AssertionError("batch_norm_elemt does the same with two kernels less")


OWN_KERNELS: dict[Any, Callable[..., Any]] = {
    aten.batch_norm_update_stats.default: _batch_norm_update_stats,
    aten.batch_norm_elemt.default: _batch_norm_elemt,
    aten.native_batch_norm.default: _native_batch_norm,
    aten.native_batch_norm_backward.default: _native_batch_norm_backward,
    aten._fused_sgd_.default: _fused_sgd,
}


class _Stream:
    device = DEVICE

    def __init__(self, device: torch.device = DEVICE) -> None:
        self.waited_for: list[_Event] = []

    def wait_event(self, event: "_Event") -> None:
        assert event.recorded
        self.waited_for.append(event)


class _Event:
    recorded = False

    def record(self) -> None:
        self.recorded = True


@contextmanager
def _as_current(stream: _Stream) -> Iterator[None]:
    yield


def _stages_in(gpu: FakeGpu) -> Callable[..., Any]:
    """Data layers stage their batches in threads, to which a mode must be told anew."""
    batch = staging.StagedBatches.batch

    def staged(self: staging.StagedBatches, number: int) -> Any:
        with gpu:
            return batch(self, number)

    return staged


@contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    """The engine computes on it from here on: as after set_device(0) and set_mode_gpu()."""
    main = _Stream()
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "Stream", _Stream)
    monkeypatch.setattr(torch.cuda, "Event", _Event)
    monkeypatch.setattr(torch.cuda, "stream", _as_current)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: main)
    monkeypatch.setattr(Tensor, "record_stream", lambda self, stream: None)
    monkeypatch.setattr(Tensor, "is_pinned", lambda self: False)
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(memory_limit, "available_bytes", lambda: None)
    monkeypatch.setattr(mode, "device_generator", mode.random_generator)
    monkeypatch.setattr(mode._state, "device", DEVICE)
    gpu = FakeGpu()
    monkeypatch.setattr(staging.StagedBatches, "batch", _stages_in(gpu))
    with gpu:
        yield gpu
