"""Layers as lines of text, `conv1 Convolution data > conv1 64 7/2+3 bias`, and back.

A line has name, type, bottoms, `>`, tops, and then: of a convolution its outputs, kernel/stride+pad, groups and
bias, of a pooling its kind and windows, of an inner product its outputs, of others their numbers.
"""

from collections.abc import Sequence

from google.protobuf import text_format

from batchbrew.proto import caffe_pb2 as pb


def described(layer: pb.LayerParameter) -> str:
    """`layer` as a line."""
    words = [layer.name, layer.type, *layer.bottom, ">", *layer.top]
    if layer.type == "Convolution":
        convolution = layer.convolution_param
        words += [
            str(convolution.num_output),
            f"{convolution.kernel_size[0]}/{convolution.stride[0]}+{convolution.pad[0]}",
            *([f"groups={convolution.group}"] if convolution.group != 1 else []),
            *(["bias"] if convolution.bias_term else []),
        ]
    elif layer.type == "Pooling" and layer.pooling_param.global_pooling:
        assert layer.pooling_param.pool == pb.PoolingParameter.AVE
        words += ["average", "global"]
    elif layer.type == "Pooling":
        pooling = layer.pooling_param
        kind = {pb.PoolingParameter.MAX: "max", pb.PoolingParameter.AVE: "average"}[pooling.pool]
        words += [kind, f"{pooling.kernel_size}/{pooling.stride}+{pooling.pad}"]
    elif layer.type == "InnerProduct":
        assert layer.inner_product_param.bias_term
        words += [str(layer.inner_product_param.num_output)]
    elif layer.type == "LRN":
        lrn = layer.lrn_param
        assert lrn.norm_region == pb.LRNParameter.ACROSS_CHANNELS
        words += [str(lrn.local_size), f"{lrn.alpha:g}", f"{lrn.beta:g}", f"{lrn.k:g}"]
    elif layer.type == "Dropout":
        words += [f"{layer.dropout_param.dropout_ratio:g}"]
    elif layer.type == "Scale":
        assert layer.scale_param == pb.ScaleParameter(bias_term=True)
    elif layer.type == "Eltwise":
        assert layer.eltwise_param == pb.EltwiseParameter()
    return " ".join(words)


PARAMETERS = {
    "Convolution": "convolution_param {{ num_output: {0} {1} {2} }}",
    "InnerProduct": "inner_product_param {{ num_output: {0} }}",
    "LRN": "lrn_param {{ local_size: {0} alpha: {1} beta: {2} k: {3} }}",
    "Dropout": "dropout_param {{ dropout_ratio: {0} }}",
    "Scale": "scale_param {{ bias_term: true }}",
}


def as_net(lines: Sequence[str], crop: int) -> pb.NetParameter:
    """The network of `lines`, for a Caffe: nothing of ours but the message is used."""
    net = pb.NetParameter(name="released", input=["data"], input_shape=[pb.BlobShape(dim=[1, 3, crop, crop])])
    for line in lines:
        head, _, tail = line.partition(" > ")
        name, kind, *bottoms = head.split()
        count = 1  # of tops
        tops, arguments = tail.split()[:count], tail.split()[count:]
        layer = net.layer.add(name=name, type=kind, bottom=bottoms, top=tops)
        text_format.Parse(_parameter(kind, arguments), layer)
    return net


def _parameter(kind: str, arguments: list[str]) -> str:
    if kind == "Convolution":
        outputs, window, *rest = arguments
        group = next((word.partition("=")[2] for word in rest if word.startswith("groups=")), "1")
        bias = f"group: {group} bias_term: {str('bias' in rest).lower()}"
        return PARAMETERS[kind].format(outputs, _window(window), bias)
    if kind == "Pooling":
        pool = {"max": "MAX", "average": "AVE"}[arguments[0]]
        window = "global_pooling: true" if arguments[1] == "global" else _window(arguments[1])
        return f"pooling_param {{ pool: {pool} {window} }}"
    return PARAMETERS.get(kind, "").format(*arguments)


def _window(text: str) -> str:
    kernel, _, rest = text.partition("/")
    stride, _, pad = rest.partition("+")
    return f"kernel_size: {kernel} stride: {stride} pad: {pad}"
