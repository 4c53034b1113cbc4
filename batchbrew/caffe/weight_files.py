"""Parameters of a net to and from files: .caffemodel, and Caffe's HDF5 (Net::ToProto, ToHDF5 and their inverses)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from batchbrew.atomic import write_file
from batchbrew.caffe import engine_log
from batchbrew.caffe.blob import LEGACY_AXES, Blob
from batchbrew.caffe.hdf5_reading import hdf5_file
from batchbrew.caffe.layer import Layer, LayerError
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import by
from batchbrew.nets.upgrade import upgraded
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary, write_binary
from batchbrew.proto.blobs import LEGACY_SHAPE, array_blob, blob_array, blob_diff, blob_shape

if TYPE_CHECKING:
    from batchbrew.caffe.net import Net

HDF5_SUFFIX = ".h5"


def copy_from(net: "Net", path: str | Path) -> None:
    """Take parameters by layer name. Raises InputError where a layer of that name has others.

    All are checked before any is written, so that a net never holds half of a file.
    """
    if str(path).endswith(HDF5_SUFFIX):
        load_hdf5(net, path)
        return
    source = upgraded(read_binary(Path(path), pb.NetParameter))
    copy_from_param(net, source, str(path))


def copy_from_param(net: "Net", source: pb.NetParameter, named: str) -> None:
    """The same from a NetParameter; `named` is what errors call it."""
    layers = net.layer_dict
    pairs = [(layers[each.name], each.blobs) for each in source.layer if each.name in layers]
    _log_ignored("net.cpp:746", (each.name for each in source.layer), layers)
    for layer, blobs in pairs:
        _check_blobs(layer, blobs, named)
    for layer, blobs in pairs:
        for index, (target, blob) in enumerate(zip(layer.blobs, blobs, strict=True)):
            name = f"{named}: parameter {index} of layer {layer.name}"
            target.data[...] = blob_array(blob, name).reshape(target.shape)
            diff = blob_diff(blob, name)
            if diff is not None:
                target.diff[...] = diff.reshape(target.shape)


def share_with(net: "Net", other: "Net") -> None:
    """Have the data of the parameters of `other`, by layer name."""
    layers = net.layer_dict
    _log_ignored("net.cpp:678", (each.name for each in other.layers), layers)
    for theirs in other.layers:
        mine = layers.get(theirs.name)
        if mine is None:
            continue
        if [blob.shape for blob in mine.blobs] != [blob.shape for blob in theirs.blobs]:
            raise LayerError(
                f"layer {mine.name} ({mine.type}): its parameters are {_shapes(mine.blobs)}, those of the net to share "
                f"with {_shapes(theirs.blobs)}"
            )
        for target, source in zip(mine.blobs, theirs.blobs, strict=True):
            target.share_data(source)


def to_param(net: "Net", write_diff: bool = False) -> pb.NetParameter:
    """The net as Caffe writes it: every layer that runs, with its parameters."""
    param = pb.NetParameter(name=net.name)
    for layer in net.layers:
        written = param.layer.add()
        written.CopyFrom(layer.layer_param)
        del written.blobs[:]
        written.blobs.extend(array_blob(b.data, b.diff if write_diff else None) for b in layer.blobs)
    return param


def save(net: "Net", path: str | Path) -> None:
    """Write a .caffemodel in one step."""
    write_binary(Path(path), to_param(net))


def save_hdf5(net: "Net", path: str | Path, write_diff: bool = False) -> None:
    """Write groups `data` and, if asked for, `diff`: in each a group for every layer, in that its parameters, `0`,
    `1` and so on. Of parameters that layers share, the owner alone writes them.
    """
    content = BytesIO()
    with h5py.File(content, "w") as file:
        for group_name in ("data", "diff") if write_diff else ("data",):
            group = file.create_group(group_name)
            for layer in net.layers:
                own = [index for index in range(len(layer.blobs)) if not net.is_borrowed(layer.name, index)]
                _write_group(
                    group, layer, {str(index): getattr(layer.blobs[index], group_name) for index in own}
                )
    write_file(Path(path), content.getvalue())


def _write_group(parent: Any, layer: Layer, arrays: Mapping[str, Any]) -> None:
    """Raises LayerError for a name that HDF5 does not take, or takes for that of another layer."""
    try:
        group = parent.create_group(layer.name)
        for name, array in arrays.items():
            group.create_dataset(name, data=array)
    except ValueError:
        raise LayerError(
            f"layer {layer.name!r} ({layer.type}): cannot be saved to HDF5, for which its name is none, or another "
            "layer's too: rename it, or save a .caffemodel (snapshot_format: BINARYPROTO)"
        ) from None


def load_hdf5(net: "Net", path: str | Path) -> None:
    """Take parameters by layer name from a file that Caffe or save_hdf5 wrote. Checked whole before any is taken."""
    with hdf5_file(Path(path), "an HDF5 file of parameters") as file:
        data = file.get("data")
        if not isinstance(data, h5py.Group):
            raise InputError(f"{path} has no group 'data': give a file that Caffe wrote, a .caffemodel.h5")
        _log_ignored("net.cpp:801", data, net.layer_dict)
        pairs = [(blob, dataset[...]) for blob, dataset in _hdf5_pairs(net, data, str(path))]
    for blob, array in pairs:
        blob.data[...] = array


def _log_ignored(source: str, names: Iterable[str], layers: Mapping[str, Layer]) -> None:
    for name in names:
        if name not in layers:
            engine_log.info(source, f"Ignoring source layer {name}")


def _hdf5_pairs(net: "Net", data: Any, path: str) -> Iterator[tuple[Blob, Any]]:
    for layer in net.layers:
        if layer.name not in data:
            continue
        group = data[layer.name]
        if not isinstance(group, h5py.Group):
            raise InputError(f"{path}: {layer.name} is no group of parameters")
        held = sum(name.isdigit() for name in group)  # beside those there are layers of names like conv1/relu
        if held > len(layer.blobs):
            raise LayerError(
                f"layer {layer.name} ({layer.type}): has {len(layer.blobs)} parameters, but {path} holds {held}"
            )
        for index, blob in enumerate(layer.blobs):
            dataset = group.get(str(index))
            if dataset is None and net.is_borrowed(layer.name, index):
                continue
            if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
                raise LayerError(
                    f"layer {layer.name} ({layer.type}): {path} holds no numbers for parameter {index}"
                )
            if tuple(dataset.shape) != blob.shape:
                raise LayerError(
                    f"layer {layer.name} ({layer.type}): its parameter {index} is {by(blob.shape)}, but in {path} it "
                    f"is {by(tuple(dataset.shape))}"
                )
            yield blob, dataset


def _check_blobs(layer: Layer, blobs: Sequence[pb.BlobProto], named: str) -> None:
    """Raises LayerError unless `blobs` are as many as the layer's parameters, and of their shapes."""
    if len(blobs) != len(layer.blobs):
        raise LayerError(
            f"layer {layer.name} ({layer.type}): has {len(layer.blobs)} parameters, but {named} holds {len(blobs)} for "
            "it: rename the layer to train it anew"
        )
    for index, (target, blob) in enumerate(zip(layer.blobs, blobs, strict=True)):
        shape = blob_shape(blob, f"{named}: parameter {index} of layer {layer.name}")
        if not _same_shape(target.shape, shape, any(blob.HasField(field) for field in LEGACY_SHAPE)):
            raise LayerError(
                f"layer {layer.name} ({layer.type}): its parameter {index} is {by(target.shape)}, but in {named} it is "
                f"{by(shape)}: rename the layer to train it anew"
            )
        held = len(blob.double_data) or len(blob.data)
        if held != target.count:
            raise LayerError(
                f"layer {layer.name} ({layer.type}): its parameter {index} has {target.count:,} numbers, but {named} "
                f"holds {held:,}: the file is damaged"
            )
        gradients = len(blob.double_diff) or len(blob.diff)
        if gradients not in (0, target.count):
            raise LayerError(
                f"layer {layer.name} ({layer.type}): its parameter {index} has {target.count:,} numbers, but {named} "
                f"holds a gradient of {gradients:,}: the file is damaged"
            )


def _same_shape(own: tuple[int, ...], given: tuple[int, ...], legacy: bool) -> bool:
    """Old files write four lengths for every blob: ones come before those that a blob has."""
    if legacy:
        return len(own) <= LEGACY_AXES and given == (1,) * (LEGACY_AXES - len(own)) + own
    return given == own


def _shapes(blobs: Sequence[Blob]) -> str:
    return ", ".join(by(blob.shape) for blob in blobs) or "none"
