"""Arrays of any number of images through a net of a fixed batch size, as pycaffe does it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from batchbrew.errors import InputError

if TYPE_CHECKING:
    from batchbrew.caffe.net import Net

Array = NDArray[np.float32]


def put(net: "Net", arrays: Mapping[str, Any], names: Sequence[str], part: Literal["data", "diff"]) -> None:
    """Write `arrays` to `part` of the blobs `names`: all of them, or none."""
    if not arrays:
        return
    if set(arrays) != set(names):
        raise InputError(
            f"{part} is given for {', '.join(sorted(arrays))}, but the net's are {', '.join(names) or 'none'}: "
            "give all of them"
        )
    blobs = net.blobs
    for name, array in arrays.items():
        blob, numbers = blobs[name], np.asarray(array)
        if numbers.shape[:1] != blob.shape[:1]:
            raise InputError(
                f"{part} of {name} has shape {numbers.shape}, the blob has {blob.shape}: as many images"
            )
        try:
            getattr(blob, part)[...] = numbers
        except ValueError:
            raise InputError(
                f"{part} of {name} has shape {numbers.shape}, the blob has {blob.shape}"
            ) from None


def batch(net: "Net", arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """`arrays` in pieces of the net's batch size, the last one filled up with zeros."""
    if not arrays:
        return
    images = len(next(iter(arrays.values())))
    size = next(iter(net.blobs.values())).shape[0]
    for name, array in arrays.items():
        if len(array) != images:
            raise InputError(f"{name} has {len(array)} images, another input {images}: give as many of each")
    for start in range(0, images, size):
        pieces = {name: np.asarray(array[start : start + size]) for name, array in arrays.items()}
        missing = size - min(size, images - start)
        if missing:
            pieces = {
                name: np.concatenate([piece, np.zeros((missing, *piece.shape[1:]), piece.dtype)])
                for name, piece in pieces.items()
            }
        yield pieces


def forward_all(net: "Net", blobs: Sequence[str] | None, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """The outputs, and `blobs`, for all images of `inputs`."""
    if not inputs:
        raise InputError(
            f"forward_all needs images: give {', '.join(net.inputs) or 'a net with an Input layer'}"
        )
    found: dict[str, list[Array]] = {}
    for pieces in batch(net, inputs):
        _collect(found, net.forward(blobs=blobs, **pieces))
    return _joined(found, len(next(iter(inputs.values()))))


def forward_backward_all(
    net: "Net", blobs: Sequence[str] | None, diffs: Sequence[str] | None, arrays: Mapping[str, Any]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Data and gradients for all images of `arrays`, which has inputs and gradients of outputs by name."""
    if not arrays:
        raise InputError(
            "forward_backward_all needs images, or gradients of outputs, by the names of their blobs"
        )
    outputs: dict[str, list[Array]] = {}
    gradients: dict[str, list[Array]] = {}
    forward = batch(net, {name: arrays[name] for name in net.inputs if name in arrays})
    backward = batch(net, {name: arrays[name] for name in net.outputs if name in arrays})
    images: dict[str, Any]
    top_diffs: dict[str, Any]
    for images, top_diffs in zip_longest(forward, backward, fillvalue={}):
        _collect(outputs, net.forward(blobs=blobs, **images))
        _collect(gradients, net.backward(diffs=diffs, **top_diffs))
    images_given = len(next(iter(arrays.values())))
    return _joined(outputs, images_given), _joined(gradients, images_given)


def _collect(found: dict[str, list[Array]], arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        found.setdefault(name, []).append(np.atleast_1d(array).copy())


def _joined(found: Mapping[str, list[Array]], images: int) -> dict[str, Array]:
    return {name: np.concatenate(pieces)[:images] for name, pieces in found.items()}
