"""Networks of 2013 ("V0"), whose layers have all their settings in one message, to V1."""

from typing import Any

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

V1 = pb.V1LayerParameter
# By type: that of V1, and the message that has its settings there.
TYPES = {
    "accuracy": (V1.ACCURACY, None),
    "bnll": (V1.BNLL, None),
    "concat": (V1.CONCAT, "concat_param"),
    "conv": (V1.CONVOLUTION, "convolution_param"),
    "data": (V1.DATA, "data_param"),
    "dropout": (V1.DROPOUT, "dropout_param"),
    "euclidean_loss": (V1.EUCLIDEAN_LOSS, None),
    "flatten": (V1.FLATTEN, None),
    "hdf5_data": (V1.HDF5_DATA, "hdf5_data_param"),
    "hdf5_output": (V1.HDF5_OUTPUT, "hdf5_output_param"),
    "im2col": (V1.IM2COL, None),
    "images": (V1.IMAGE_DATA, "image_data_param"),
    "infogain_loss": (V1.INFOGAIN_LOSS, "infogain_loss_param"),
    "innerproduct": (V1.INNER_PRODUCT, "inner_product_param"),
    "lrn": (V1.LRN, "lrn_param"),
    "multinomial_logistic_loss": (V1.MULTINOMIAL_LOGISTIC_LOSS, None),
    "pool": (V1.POOLING, "pooling_param"),
    "relu": (V1.RELU, None),
    "sigmoid": (V1.SIGMOID, None),
    "softmax": (V1.SOFTMAX, None),
    "softmax_loss": (V1.SOFTMAX_LOSS, None),
    "split": (V1.SPLIT, None),
    "tanh": (V1.TANH, None),
    "window_data": (V1.WINDOW_DATA, "window_data_param"),
}
WHOLE = ("name", "blobs", "blobs_lr", "weight_decay", "hdf5_output_param")
TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
# By setting: its name in V1, and the types that take it.
SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "num_output": ("num_output", ("conv", "innerproduct")),
    "biasterm": ("bias_term", ("conv", "innerproduct")),
    "weight_filler": ("weight_filler", ("conv", "innerproduct")),
    "bias_filler": ("bias_filler", ("conv", "innerproduct")),
    "pad": ("pad", ("conv", "pool")),
    "kernelsize": ("kernel_size", ("conv", "pool")),
    "group": ("group", ("conv",)),
    "stride": ("stride", ("conv", "pool")),
    "pool": ("pool", ("pool",)),
    "dropout_ratio": ("dropout_ratio", ("dropout",)),
    "local_size": ("local_size", ("lrn",)),
    "alpha": ("alpha", ("lrn",)),
    "beta": ("beta", ("lrn",)),
    "k": ("k", ("lrn",)),
    "source": ("source", ("data", "hdf5_data", "images", "window_data", "infogain_loss")),
    "batchsize": ("batch_size", ("data", "hdf5_data", "images", "window_data")),
    "rand_skip": ("rand_skip", ("data", "images")),
    "shuffle_images": ("shuffle", ("images",)),
    "new_height": ("new_height", ("images",)),
    "new_width": ("new_width", ("images",)),
    "concat_dim": ("concat_dim", ("concat",)),
    "det_fg_threshold": ("fg_threshold", ("window_data",)),
    "det_bg_threshold": ("bg_threshold", ("window_data",)),
    "det_fg_fraction": ("fg_fraction", ("window_data",)),
    "det_context_pad": ("context_pad", ("window_data",)),
    "det_crop_mode": ("crop_mode", ("window_data",)),
}


def upgraded_v0_layers(net: pb.NetParameter) -> list[pb.V1LayerParameter]:
    """The layers of a V0 network as V1 has them. Raises InputError for a type or a setting that is not V0's."""
    return [_upgraded(layer) for layer in _padding_into_readers(net)]


def _padding_into_readers(net: pb.NetParameter) -> list[pb.V1LayerParameter]:
    """Layers of type padding became the pad of the convolution or pooling that reads them."""
    makers: dict[str, pb.V1LayerParameter] = {}
    layers = []
    for old in net.layers:
        layer = pb.V1LayerParameter()
        layer.CopyFrom(old)
        for index, bottom in enumerate(old.bottom):
            maker = makers.get(bottom)
            if maker is None or maker.layer.type != "padding":
                continue
            if old.layer.type not in ("conv", "pool") or len(old.bottom) != 1 or len(maker.bottom) != 1:
                raise InputError(
                    f"layer {old.layer.name} ({old.layer.type}) reads the padding layer {maker.layer.name}: only a "
                    "conv or pool with one bottom can"
                )
            layer.layer.pad = maker.layer.pad
            layer.bottom[index] = maker.bottom[0]
        makers.update(dict.fromkeys(old.top, old))
        if old.layer.type != "padding":
            layers.append(layer)
    return layers


def _upgraded(old: pb.V1LayerParameter) -> pb.V1LayerParameter:
    settings = old.layer
    if settings.type not in TYPES:
        raise InputError(
            f"layer {settings.name} has type {settings.type!r}, which no Caffe of 2013 had: "
            f"known are {', '.join(TYPES)}"
        )
    kind, message = TYPES[settings.type]
    new = pb.V1LayerParameter(type=kind, bottom=old.bottom, top=old.top)
    for descriptor, value in settings.ListFields():
        field = descriptor.name
        if field in TRANSFORM:
            setattr(new.transform_param, TRANSFORM[field], value)
        elif field in WHOLE:
            _set(new, field, value)
        elif field != "type":
            name, types = SETTINGS.get(field, (field, ()))
            if message is None or settings.type not in types:
                raise InputError(
                    f"layer {settings.name} ({settings.type}) has {field}, which its type does not take: remove it"
                )
            _set(getattr(new, message), name, value)
    return new


def _set(message: Any, field: str, value: Any) -> None:
    if hasattr(value, "CopyFrom"):
        getattr(message, field).CopyFrom(value)
    elif hasattr(getattr(message, field), "extend"):
        getattr(message, field).extend(value if hasattr(value, "__len__") else [value])
    else:
        setattr(message, field, value)
