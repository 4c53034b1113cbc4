"""Old networks brought to today's form, as Caffe does when it reads them (upgrade_proto.cpp).

Three things changed over the years: layers were `layers` with an enum for their type (2013-2014, "V1"), and
before that had all settings in one message (2013, "V0"); inputs were fields of the net, not layers; data
layers had their transformation among their own settings.
"""

from typing import Any

from batchbrew.errors import InputError
from batchbrew.nets.upgrade_v0 import upgraded_v0_layers
from batchbrew.proto import caffe_pb2 as pb

V1 = pb.V1LayerParameter
V1_TYPES = {
    V1.NONE: "",
    V1.ABSVAL: "AbsVal",
    V1.ACCURACY: "Accuracy",
    V1.ARGMAX: "ArgMax",
    V1.BNLL: "BNLL",
    V1.CONCAT: "Concat",
    V1.CONTRASTIVE_LOSS: "ContrastiveLoss",
    V1.CONVOLUTION: "Convolution",
    V1.DATA: "Data",
    V1.DECONVOLUTION: "Deconvolution",
    V1.DROPOUT: "Dropout",
    V1.DUMMY_DATA: "DummyData",
    V1.ELTWISE: "Eltwise",
    V1.EUCLIDEAN_LOSS: "EuclideanLoss",
    V1.EXP: "Exp",
    V1.FLATTEN: "Flatten",
    V1.HDF5_DATA: "HDF5Data",
    V1.HDF5_OUTPUT: "HDF5Output",
    V1.HINGE_LOSS: "HingeLoss",
    V1.IM2COL: "Im2col",
    V1.IMAGE_DATA: "ImageData",
    V1.INFOGAIN_LOSS: "InfogainLoss",
    V1.INNER_PRODUCT: "InnerProduct",
    V1.LRN: "LRN",
    V1.MEMORY_DATA: "MemoryData",
    V1.MULTINOMIAL_LOGISTIC_LOSS: "MultinomialLogisticLoss",
    V1.MVN: "MVN",
    V1.POOLING: "Pooling",
    V1.POWER: "Power",
    V1.RELU: "ReLU",
    V1.SIGMOID: "Sigmoid",
    V1.SIGMOID_CROSS_ENTROPY_LOSS: "SigmoidCrossEntropyLoss",
    V1.SILENCE: "Silence",
    V1.SLICE: "Slice",
    V1.SOFTMAX: "Softmax",
    V1.SOFTMAX_LOSS: "SoftmaxWithLoss",
    V1.SPLIT: "Split",
    V1.TANH: "TanH",
    V1.THRESHOLD: "Threshold",
    V1.WINDOW_DATA: "WindowData",
}
OLD_TRANSFORMS = {
    V1.DATA: "data_param",
    V1.IMAGE_DATA: "image_data_param",
    V1.WINDOW_DATA: "window_data_param",
}
# What V1 wrote beside its parameters is now in a ParamSpec for each.
PARAM_FIELDS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}


def upgraded(net: pb.NetParameter) -> pb.NetParameter:
    """`net` with `layer`s alone: itself if it is of today's form, else a new message.

    Raises InputError for what no Caffe would read, and for layers of both forms, of which Caffe drops one.
    """
    if not (net.layers or net.input or _has_old_batch_norm(net)):
        return net
    new = pb.NetParameter()
    new.CopyFrom(net)
    if new.layers:
        if new.layer:
            raise InputError(
                f"network {net.name} has both layer and layers: Caffe would drop its {len(new.layer)} layer; "
                "write all of them as layer"
            )
        layers = list(new.layers)
        if any(layer.HasField("layer") for layer in layers):
            layers = upgraded_v0_layers(net)
        new.layer.extend(_from_v1(layer) for layer in layers)
        del new.layers[:]
    if new.input:
        _inputs_to_layer(new)
    _freeze_batch_norm(new)
    return new


def _from_v1(old: pb.V1LayerParameter) -> pb.LayerParameter:
    new = pb.LayerParameter()
    if old.HasField("type"):
        new.type = V1_TYPES[old.type]
    for descriptor, value in old.ListFields():
        field = descriptor.name
        if field in PARAM_FIELDS:
            _spread_over_params(new, PARAM_FIELDS[field], value)
        elif field != "type":
            _copy(new, field, value)
    if old.type in OLD_TRANSFORMS and old.HasField(OLD_TRANSFORMS[old.type]):
        _move_transform(getattr(new, OLD_TRANSFORMS[old.type]), new)
    return new


def _copy(message: Any, field: str, value: Any) -> None:
    """Fields that kept their name kept their type too."""
    if field == "name":
        message.name = value
    elif hasattr(value, "CopyFrom"):
        getattr(message, field).CopyFrom(value)
    else:
        getattr(message, field).extend(value)


def _spread_over_params(layer: pb.LayerParameter, field: str, values: Any) -> None:
    while len(layer.param) < len(values):
        layer.param.add()
    for param, value in zip(layer.param, values, strict=False):
        setattr(param, field, value)


def _move_transform(data: Any, layer: pb.LayerParameter) -> None:
    for field in ("scale", "mean_file", "crop_size", "mirror"):
        if data.HasField(field):
            setattr(layer.transform_param, field, getattr(data, field))
            data.ClearField(field)


def _inputs_to_layer(net: pb.NetParameter) -> None:
    """Fields `input` and their shapes become an Input layer at the beginning.

    Without any shape they are dropped: so they are in old caffemodels, which are not built from.
    """
    names, shapes, dims = list(net.input), list(net.input_shape), list(net.input_dim)
    if shapes and dims:
        raise InputError(f"network {net.name} has both input_shape and input_dim: keep input_shape")
    if dims and len(dims) != 4 * len(names):
        raise InputError(
            f"network {net.name} has {len(dims)} input_dim for {len(names)} input: give four for each"
        )
    if shapes and len(shapes) != len(names):
        raise InputError(
            f"network {net.name} has {len(shapes)} input_shape for {len(names)} input: give one for each"
        )
    if not shapes:
        shapes = [pb.BlobShape(dim=dims[start : start + 4]) for start in range(0, len(dims), 4)]
    layers = list(net.layer)
    del net.layer[:]
    if shapes:
        net.layer.add(name="input", type="Input", top=names, input_param=pb.InputParameter(shape=shapes))
    net.layer.extend(layers)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _has_old_batch_norm(net: pb.NetParameter) -> bool:
    return any(
        layer.type == "BatchNorm"
        and len(layer.param) == 3
        and any(param.lr_mult or param.decay_mult for param in layer.param)
        for layer in net.layer
    )


def _freeze_batch_norm(net: pb.NetParameter) -> None:
    """A BatchNorm with three param, whatever they say, has its statistics left alone by the solver."""
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for param in layer.param:
                param.lr_mult = param.decay_mult = 0
