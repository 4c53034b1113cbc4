"""Which layers of a net a caffemodel fills, by name, as Caffe's Net::CopyTrainedLayersFrom does.

Caffe passes over names that it does not find on either side without a word on the screen, and ends the whole
process when a name is found and a shape is not the same. Here the first is said, and the second is an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.nets.shapes import infer_shapes
from batchbrew.proto import caffe_pb2
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_shape

# Layers whose names and shapes may fit by chance: networks of every kind normalise their data in `data_bn`.
NORMALISATIONS = ("BatchNorm", "Scale", "Bias")


@dataclass(frozen=True)
class WeightMatch:
    """Layers by name: filled from the file; of the net, left to their fillers; of the file, not used.

    Of those unfilled, `without_identity` change what comes in unless they are trained; a new Scale does not.
    """

    filled: tuple[str, ...]
    unfilled: tuple[str, ...]
    unused: tuple[str, ...]
    without_identity: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{len(self.filled)} layers get their weights"
        if self.unfilled:
            text += f"; new, from their fillers: {', '.join(self.unfilled)}"
        if self.unused:
            text += f"; not used, no such layer in the net: {', '.join(self.unused)}"
        return text


def layer_blobs(model: caffe_pb2.NetParameter) -> dict[str, list[caffe_pb2.BlobProto]]:
    """The blobs of a caffemodel's layers by name, in the new format or one of the two old ones; no empty ones."""
    if model.layers:  # Caffe then ignores `layer`
        old = {layer.name or layer.layer.name: layer.blobs or layer.layer.blobs for layer in model.layers}
        return {name: list(blobs) for name, blobs in old.items() if blobs}
    return {layer.name: list(layer.blobs) for layer in model.layer if layer.blobs}


def match_weights(net: caffe_pb2.NetParameter, weights: Path) -> WeightMatch:
    """Compare the training net with the caffemodel `weights`.

    Raises InputError for a layer that both have in different shapes, and where no layer but of normalisation is
    common to both: then these are the weights of another network.
    """
    blobs = layer_blobs(read_binary(weights, caffe_pb2.NetParameter))
    filled, unfilled, kinds = [], [], set()
    layers = [each for each in infer_shapes(net, caffe_pb2.TRAIN).layers if each.parameters]
    for each in layers:
        name = each.layer.name
        if name not in blobs:
            unfilled.append(name)
            continue
        _check_shapes(weights, name, [parameter.shape for parameter in each.parameters], blobs[name])
        filled.append(name)
        kinds.add(each.layer.type)
    if layers and not kinds - set(NORMALISATIONS):
        raise InputError(
            f"{weights} fills no layer of this net: it has {some(list(blobs))}, the net {some(unfilled)}: "
            "take weights of the same network, or give its layers these names"
        )
    names = {each.layer.name for each in layers}
    return WeightMatch(
        tuple(filled),
        tuple(unfilled),
        tuple(name for name in blobs if name not in names),
        tuple(
            each.layer.name
            for each in layers
            if each.layer.name not in blobs and each.layer.type not in NORMALISATIONS
        ),
    )


def _check_shapes(
    weights: Path, name: str, wanted: Sequence[Sequence[int]], blobs: Sequence[caffe_pb2.BlobProto]
) -> None:
    found = [blob_shape(blob, name) for blob in blobs]
    if len(found) != len(wanted):
        raise InputError(
            f"{weights}: layer {name} has {len(found)} blobs there and {len(wanted)} in the net: "
            "bias_term differs, or it is another kind of layer; rename it in the net to begin it anew"
        )
    for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
        if not _same(blobs[index], one, other):
            raise InputError(
                f"{weights}: layer {name} is {_by(one)} there and {_by(other)} in the net: give it a new name "
                "in the net to begin it anew (--classifier-name for the last layer), or take the weights that fit"
            )


def _same(blob: caffe_pb2.BlobProto, found: Sequence[int], wanted: Sequence[int]) -> bool:
    """Blob::ShapeEquals: an old blob has four axes, of which the first ones may be 1 and not meant."""
    if tuple(found) == tuple(wanted):
        return True
    old = any(blob.HasField(axis) for axis in ("num", "channels", "height", "width"))
    return old and len(wanted) <= 4 and tuple(found) == (1,) * (4 - len(wanted)) + tuple(wanted)


def some(names: Sequence[str]) -> str:
    """The first three, and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _by(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
