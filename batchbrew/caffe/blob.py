"""Blob: an N-dimensional array of float32 numbers and, beside it, their gradient."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from batchbrew.caffe.memory import Memory, Shape
from batchbrew.caffe.uncopied import Uncopied
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import MAX_AXES, MAX_COUNT

LEGACY_AXES = 4


class Blob(Uncopied):
    """What layers read and write: `data`, and its gradient `diff`, of one shape.

    Python sees numpy arrays (`data`, `diff`: C-contiguous float32, writable, live views as in pycaffe). Layers see
    tensors on the device where they compute (`data_tensor`, `diff_tensor`): reading one gives what must not be
    changed in place, assigning one replaces all numbers.
    """

    __slots__ = ("_data", "_diff", "_shape")

    def __init__(self, *shape: int) -> None:
        self._shape: Shape = ()
        self._data = Memory(())
        self._diff = Memory(())
        self.reshape(*shape)

    @property
    def data(self) -> NDArray[np.float32]:
        """The numbers, a writable view."""
        return self._data.numpy(self._shape)

    @property
    def diff(self) -> NDArray[np.float32]:
        """Their gradient, a writable view."""
        return self._diff.numpy(self._shape)

    @property
    def shape(self) -> Shape:
        """Lengths of the axes."""
        return self._shape

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return prod(self._shape)

    @property
    def num(self) -> int:
        """The first of four axes, as Caffe once had it."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """The second of four axes."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """The third of four axes."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """The last of four axes."""
        return self._legacy(3)

    def reshape(self, *shape: int) -> None:
        """Give it another shape. As in Caffe it keeps the numbers that it has room for, and has room for the most that
        there ever were; where it takes more, all become zero.

        Data that no Python saw since a layer assigned them become zero at once: the layer will assign them again.

        Raises InputError on more than 32 axes, a negative length or more than 2,147,483,647 elements.
        """
        lengths = _lengths(shape)
        if lengths == self._shape:
            return
        count = prod(lengths)
        if count != self._data.count:
            self._data = self._data.resized(lengths, keep=self._data.is_by_hand)
        if count != self._diff.count:
            self._diff = self._diff.resized(lengths, keep=True)
        self._shape = lengths

    def reshape_like(self, other: "Blob") -> None:
        """Give it the shape of `other`."""
        self.reshape(*other.shape)

    @property
    def data_tensor(self) -> Tensor:
        """The numbers where layers compute; not to be changed in place."""
        return self._data.read(self._shape)

    @data_tensor.setter
    def data_tensor(self, tensor: Tensor) -> None:
        assert tensor.shape == self._shape, f"{tuple(tensor.shape)} into a blob of shape {self._shape}"
        self._data.replace(tensor)

    @property
    def held_data(self) -> Tensor:
        """The same as it is held: bfloat16 where a layer that computes so has assigned it."""
        return self._data.held(self._shape)

    @property
    def lasting_data(self) -> Tensor:
        """The same for a layer that keeps it until its backward pass: what is written to the blob, in place or by
        Python, leaves it as it is.
        """
        return self.held_lasting_data.float()

    @property
    def held_lasting_data(self) -> Tensor:
        """The same as it is held."""
        return self._data.lasting(self._shape)

    @property
    def has_data_by_hand(self) -> bool:
        """May the numbers be other ones than a layer has assigned, as somebody has, or had, a view of them?"""
        return self._data.is_by_hand

    def defer_data(self, make: Callable[[], Tensor]) -> None:
        """Assign what `make` gives, which is called when somebody asks for it. It must not depend on anything that
        may change until then.
        """
        self._data.defer(make)

    def defer_diff(self, make: Callable[[], Tensor]) -> None:
        """The same for the gradient."""
        self._diff.defer(make)

    def drop_data(self, why: str) -> None:
        """Forget the numbers: who asks for them gets InputError(why), until new ones are assigned."""
        self._data.drop(why)

    def drop_diff(self, why: str) -> None:
        """The same for the gradient."""
        self._diff.drop(why)

    @property
    def held_diff(self) -> Tensor:
        """The gradient as it is held: bfloat16 where a layer that computes so has assigned it."""
        return self._diff.held(self._shape)

    @property
    def owns_diff(self) -> bool:
        """Does nobody else rely on the tensor that holds the gradient?"""
        return self._diff.is_own

    @property
    def lasting_diff(self) -> Tensor:
        """The gradient as it is held, for who keeps it: what is written to the blob leaves it as it is."""
        return self._diff.lasting(self._shape)

    def diff_like(self, tensor: Tensor) -> Tensor:
        """The gradient in the type of `tensor`, as kernels want it that take both."""
        return self.held_diff.to(tensor.dtype)

    @property
    def diff_tensor(self) -> Tensor:
        """The gradient where layers compute; not to be changed in place."""
        return self._diff.read(self._shape)

    @diff_tensor.setter
    def diff_tensor(self, tensor: Tensor) -> None:
        assert tensor.shape == self._shape, f"{tuple(tensor.shape)} into a blob of shape {self._shape}"
        self._diff.replace(tensor)

    def copy_data(self, other: "Blob") -> None:
        """Hold the numbers that `other` (of the same shape) holds now; costs nothing until one is written to."""
        assert self.shape == other.shape, f"{self.shape} cannot hold the numbers of {other.shape}"
        self._data.copy_from(other._data, self._shape)

    def copy_diff(self, other: "Blob") -> None:
        """Hold the gradient that `other` (of the same shape) holds now; costs nothing until one is written to."""
        assert self.shape == other.shape, f"{self.shape} cannot hold the gradient of {other.shape}"
        self._diff.copy_from(other._diff, self._shape)

    def add_diff(self, tensor: Tensor) -> None:
        """Add to the gradient, as layers do with those of their parameters."""
        self.diff_tensor = tensor if self._diff.is_zero else self.diff_tensor + tensor

    def clear_data(self) -> None:
        """Set the numbers to zero."""
        self._data.clear()

    def clear_diff(self) -> None:
        """Set the gradient to zero."""
        self._diff.clear()

    @property
    def has_no_diff(self) -> bool:
        """Has the gradient not been written since it was made or cleared? Then it is zero."""
        return self._diff.is_zero

    def mutable_data(self) -> Tensor:
        """The numbers where layers compute, to be changed in place: solvers alone do that."""
        return self._data.mutable(self._shape)

    def mutable_diff(self) -> Tensor:
        """The gradient where layers compute, to be changed in place: solvers alone do that."""
        return self._diff.mutable(self._shape)

    @property
    def data_memory(self) -> Memory:
        """Where the numbers are; blobs that share them have the same."""
        return self._data

    @property
    def diff_memory(self) -> Memory:
        """Where the gradient is."""
        return self._diff

    def lay_out_data(self, memory_format: torch.memory_format) -> None:
        """Have the numbers lie so in memory, unless somebody holds a view of them."""
        if not self.held_data.is_contiguous(memory_format=memory_format):
            self._data.lay_out(torch.empty(self._shape, device="meta").to(memory_format=memory_format))

    def share_data(self, other: "Blob") -> None:
        """Have the numbers of `other` (as many) from now on: what is written to one is in both."""
        assert self.count == other.count, f"{self.shape} cannot share the numbers of {other.shape}"
        self._data = other._data

    def share_diff(self, other: "Blob") -> None:
        """Have the gradient of `other` (as many numbers) from now on."""
        assert self.count == other.count, f"{self.shape} cannot share the gradient of {other.shape}"
        self._diff = other._diff

    def _legacy(self, axis: int) -> int:
        if len(self._shape) > LEGACY_AXES:
            raise InputError(
                f"num, channels, height and width are of blobs with up to 4 axes, not of shape {self._shape}: use shape"
            )
        return self._shape[axis] if axis < len(self._shape) else 1


class BlobVec(list[Blob]):
    """A layer's parameters."""

    def add_blob(self, *shape: int) -> None:
        """Append a blob of zeros."""
        self.append(Blob(*shape))


def _lengths(shape: Sequence[int]) -> Shape:
    lengths = tuple(int(length) for length in shape)
    if len(lengths) > MAX_AXES:
        raise InputError(f"a blob has {MAX_AXES} axes at most, not {len(lengths)}")
    if any(length < 0 for length in lengths) or prod(lengths) > MAX_COUNT:
        raise InputError(
            f"no blob has the shape {' × '.join(map(str, lengths))}: lengths are 0 or more, and {MAX_COUNT:,} "
            "numbers the most"
        )
    return lengths
