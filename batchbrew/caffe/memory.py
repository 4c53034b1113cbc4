"""The numbers of a blob, on the device where layers compute and on the host where Python looks at them."""

import weakref
from collections.abc import Callable
from enum import Enum
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from batchbrew.caffe import mode
from batchbrew.errors import InputError

Shape = tuple[int, ...]
Head = Enum(
    "Head", ["NOWHERE", "HOST", "DEVICE", "BOTH"]
)  # where the newest numbers are; nowhere: all are zero


FORMATS = (torch.contiguous_format, torch.channels_last)


def lie_alike(one: Tensor, other: Tensor) -> bool:
    """Are the numbers of two tensors of one shape without gaps and in one order? (Axes of length 1 do not matter.)"""
    formats = FORMATS if one.dim() == 4 else FORMATS[:1]
    return any(
        each.is_contiguous(memory_format=f) and other.is_contiguous(memory_format=f)
        for f in formats
        for each in [one]
    )


class Memory:
    """What Caffe calls SyncedMemory: float32 numbers, zeros at first, moved when they are needed elsewhere.

    A layer never changes a tensor in place: it replaces what is here by a new tensor, which may have any strides,
    and may be bfloat16 (`set_precision`). Numbers that nobody may ever look at can be given as a function, which is
    called when somebody does, or dropped, which is told then.
    A numpy array that was handed out stays a view of the numbers as long as somebody holds it, as in Caffe; on a
    GPU it is brought up to date when the numbers are asked for again.
    """

    __slots__ = (
        "_device",
        "_head",
        "_host",
        "_kept_elsewhere",
        "_later",
        "_room",
        "_shape",
        "_shown",
        "_spare",
        "_view",
    )

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._head = Head.NOWHERE
        self._host: Tensor | None = None
        self._device: Tensor | None = None
        self._view: weakref.ref[NDArray[np.float32]] | None = None  # what all arrays handed out are views of
        self._room = self.count  # for how many numbers: the most that there ever were
        self._spare: Tensor | None = None  # what is left of those times, behind the numbers of now
        self._later: Callable[[], Tensor] | str | None = None  # what gives the numbers, or why they are gone
        self._kept_elsewhere = False  # may somebody else rely on the tensor that is held here?
        self._shown = (
            False  # has Python seen the numbers, and perhaps written them, since a layer assigned them?
        )

    @property
    def count(self) -> int:
        """How many numbers there is room for."""
        return prod(self._shape)

    @property
    def is_zero(self) -> bool:
        """Has nothing been written since it was made or cleared?"""
        return self._head is Head.NOWHERE and self._later is None

    def clear(self) -> None:
        """All zeros again; costs nothing where nobody holds a view."""
        viewed = self._viewed()
        self._head, self._host, self._device, self._later = Head.NOWHERE, None, None, None
        if viewed is not None:
            viewed.zero_()
            self._head, self._host = Head.HOST, viewed

    def defer(self, make: Callable[[], Tensor]) -> None:
        """Hold what `make` gives, which is called when the numbers are asked for; now, where somebody holds a view."""
        if self._viewed() is not None:
            self.replace(make())
        else:
            self._head, self._host, self._device, self._later = Head.NOWHERE, None, None, make
            self._kept_elsewhere = self._shown = False

    @property
    def deferred(self) -> Callable[[], Tensor] | None:
        """What will give the numbers, while nobody has asked."""
        return None if isinstance(self._later, str) else self._later

    def drop(self, why: str) -> None:
        """Forget the numbers; asking for them raises InputError(why), until there are new ones.

        Where somebody holds a view they stay.
        """
        if self._viewed() is None:
            self._head, self._host, self._device, self._later = Head.NOWHERE, None, None, why
            self._kept_elsewhere = self._shown = False

    def _arrive(self) -> None:
        """Call what gives the numbers."""
        later = self._later
        if isinstance(later, str):
            raise InputError(later)
        if later is not None:
            self.replace(later())

    @property
    def is_by_hand(self) -> bool:
        """May the numbers be somebody's own, and not those of a layer that will assign them again?"""
        return self._shown or self._viewed() is not None

    @property
    def is_own(self) -> bool:
        """Does nobody else rely on the tensor that is held?"""
        return not self._kept_elsewhere and self._viewed() is None

    def resized(self, shape: Shape, keep: bool) -> "Memory":
        """Memory of another size; with `keep` it begins with the same numbers. As in Caffe there is room for the most
        numbers that there ever were, and those come back; where it takes more room, all are zero.
        """
        new = Memory(shape)
        if new.count > self._room:
            return new
        new._room = self._room
        if isinstance(self._later, str):
            new._later = self._later
            return new
        if keep and not self.is_zero:
            held = self.read(self._shape).flatten()
            held = held if self._spare is None else torch.cat([held, self._spare])
            held = torch.nn.functional.pad(held, (0, self._room - len(held)))
            new.replace(held[: new.count].clone().reshape(shape))
            new._spare = held[new.count :]
            new._shown = True
        return new

    def read(self, shape: Shape) -> Tensor:
        """The numbers where layers compute, not to be changed in place."""
        return self.held(shape).float()

    def held(self, shape: Shape) -> Tensor:
        """The same as they are held, float32 or bfloat16."""
        if self._later is not None:
            self._arrive()
        device = mode.device()
        tensor = self._on_host() if device.type == "cpu" else self._on_device(device)
        return tensor if tensor.shape == shape else tensor.reshape(shape)

    def lasting(self, shape: Shape) -> Tensor:
        """The numbers as they are now, for a layer that needs them later, whatever is written here until then.

        They are copied only where somebody holds a view through which they could change, or asks for one later.
        """
        tensor = self.held(shape)
        if self._viewed() is not None and tensor.device.type == "cpu":
            return tensor.clone()
        self._kept_elsewhere = True
        return tensor

    def copy_from(self, other: "Memory", shape: Shape) -> None:
        """Hold the numbers that `other` holds now; they are copied only once one of the two is written to."""
        tensor = other.lasting(shape)
        self.replace(tensor)
        self._kept_elsewhere = tensor is self._host or tensor is self._device

    def replace(self, tensor: Tensor) -> None:
        """Hold `tensor` from now on: it belongs to this blob, nobody else may change it."""
        assert tensor.dtype in (torch.float32, torch.bfloat16), f"a blob does not hold {tensor.dtype}"
        self._shape, self._later = tuple(tensor.shape), None
        self._kept_elsewhere = self._shown = False
        viewed = self._viewed()
        if viewed is not None and viewed.numel() != tensor.numel():
            viewed = None
        if tensor.device.type != "cpu":
            self._head, self._device, self._host = Head.DEVICE, tensor, viewed
            return
        if viewed is not None:
            if viewed.data_ptr() != tensor.data_ptr():
                viewed.copy_(tensor.reshape(viewed.shape))
            tensor = viewed
        self._head, self._host, self._device = Head.HOST, tensor, None

    def mutable(self, shape: Shape) -> Tensor:
        """The numbers where layers compute, to be changed in place: for solvers, which own parameters."""
        tensor = self.read(shape)
        if self._kept_elsewhere:
            tensor, self._kept_elsewhere = tensor.clone(), False
        if mode.device().type == "cpu":
            self._head, self._host, self._device = Head.HOST, self._kept(tensor), None
        else:
            self._head, self._device = Head.DEVICE, tensor
        return tensor

    def lay_out(self, like: Tensor) -> None:
        """Lie as `like` does, a tensor of this shape, unless somebody holds a view."""
        held = self.held(tuple(like.shape))
        if not lie_alike(held, like) and self._viewed() is None:
            shown = self._shown
            self.replace(torch.empty_like(like, dtype=held.dtype, device=held.device).copy_(held))
            self._shown = shown

    def numpy(self, shape: Shape) -> NDArray[np.float32]:
        """A writable view on the host; it counts as written to, as with Caffe's mutable_cpu_data."""
        if self._later is not None:
            self._arrive()
        host = self._on_host().float()
        if not host.is_contiguous():
            host = host.contiguous()
        elif self._kept_elsewhere and self._head is Head.HOST:
            host = host.clone()
        self._kept_elsewhere, self._shown = False, True
        self._head, self._host, self._device = Head.HOST, host, None
        array = None if self._view is None else self._view()
        viewed = self._viewed()
        if (
            array is None
            or viewed is None
            or viewed.data_ptr() != host.data_ptr()
            or array.size != host.numel()
        ):
            array = host.detach().reshape(-1).numpy()
            self._view = weakref.ref(array)
        return array.reshape(shape)

    def _kept(self, tensor: Tensor) -> Tensor:
        """`tensor`, which shares its numbers with what is held unless that had to be laid out anew."""
        viewed = self._viewed()
        assert viewed is None or viewed.data_ptr() == tensor.data_ptr(), "a viewed memory is contiguous"
        return tensor

    def _viewed(self) -> Tensor | None:
        """The numbers of the arrays that somebody holds, in one row."""
        array = None if self._view is None else self._view()
        if array is None:
            return None
        assert isinstance(array.base, Tensor)
        return array.base

    def _on_host(self) -> Tensor:
        if self._head is Head.NOWHERE:
            self._host, self._head = torch.zeros(self._shape), Head.HOST
        elif self._head is Head.DEVICE:
            assert self._device is not None
            viewed = self._viewed()
            if viewed is not None and viewed.numel() == self._device.numel():
                viewed.copy_(self._device.reshape(-1))
                self._host = viewed
            else:
                self._host = self._device.cpu()
            self._head = Head.BOTH
        assert self._host is not None
        return self._host

    def _on_device(self, device: torch.device) -> Tensor:
        if self._head is Head.NOWHERE:
            self._device, self._head = torch.zeros(self._shape, device=device), Head.DEVICE
        elif self._is_older_there() or self._device is None or self._device.device != device:
            self._device, self._head = self._on_host().to(device), Head.BOTH
        return self._device

    def _is_older_there(self) -> bool:
        """May the host have other numbers than the device? Who holds a view writes without a word."""
        return self._head is Head.HOST or (self._head is Head.BOTH and self._viewed() is not None)
