"""Hand-worked costs: multiply-adds, memory, shared parameters; published figures of known layers."""

from math import prod

import pytest

from batchbrew.nets.shapes import LayerShapes, NetworkShapes, infer_shapes, layer_shapes
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

INPUT = 'layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } } }'


def build(text: str) -> NetworkShapes:
    return infer_shapes(parse_prototxt(INPUT + text, pb.NetParameter))


def last(text: str) -> LayerShapes:
    return build(text).layers[-1]


def test_convolution() -> None:
    layer = last('layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param '
                 "{ num_output: 6 kernel_size: 3 stride: 2 group: 2 } }")  # fmt: skip
    assert layer.tops == {"c": (2, 6, 4, 3)}  # windows: (9-3)/2+1 = 4, (8-3)/2+1 = 3
    assert layer.learned == 6 * 2 * 9 + 6
    assert layer.multiply_adds == 2 * (6 * 2 * 9) * 12


def test_deconvolution_multiplies_at_every_pixel_that_comes_in() -> None:
    layer = last('layer { name: "d" type: "Deconvolution" bottom: "x" top: "d" convolution_param '
                 "{ num_output: 6 kernel_size: 4 stride: 2 pad: 1 bias_term: false } }")  # fmt: skip
    assert layer.tops == {"d": (2, 6, 18, 16)}
    assert layer.multiply_adds == 2 * (4 * 6 * 16) * 72


def test_inner_product() -> None:
    layer = last('layer { name: "i" type: "InnerProduct" bottom: "x" top: "i" '
                 "inner_product_param { num_output: 10 axis: 2 } }")  # fmt: skip
    assert layer.tops == {"i": (2, 4, 10)}
    assert (layer.learned, layer.multiply_adds) == (720 + 10, 8 * 720)


def test_lstm() -> None:
    layer = layer_shapes(
        parse_prototxt('name: "l" type: "LSTM" bottom: "s" bottom: "m" top: "h" '
                       "recurrent_param { num_output: 5 }", pb.LayerParameter),
        [(3, 2, 7), (3, 2)],
    )  # fmt: skip
    assert layer.learned == 20 * 7 + 20 + 20 * 5
    assert layer.multiply_adds == 3 * 2 * (20 * 7 + 20 * 5)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "windows"),
    [
        (112, 3, 2, 0, 56),  # (112-3)/2 = 54.5, up to 55
        (113, 3, 2, 0, 56),
        (6, 2, 2, 1, 4),  # starts at -1, 1, 3, 5
        (7, 2, 2, 1, 4),  # a fifth window would start at 7, in the padding behind the image
    ],
)
def test_pooling_rounds_up_and_clips(size: int, kernel: int, stride: int, pad: int, windows: int) -> None:
    parameter = pb.PoolingParameter(kernel_size=kernel, stride=stride, pad=pad)
    layer = pb.LayerParameter(name="p", type="Pooling", top=["p"], pooling_param=parameter)
    assert layer_shapes(layer, [(1, 1, size, size)]).tops == {"p": (1, 1, windows, windows)}


def test_a_window_that_hangs_over_is_told() -> None:
    layer = last('layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param '
                 "{ num_output: 1 kernel_size: 11 stride: 4 } }")  # fmt: skip
    assert layer.tops == {"c": (2, 1, 1, 1)}  # (9-11)/4 is 0 in C++
    assert layer.overhang == "its window of 11×11 is larger than its padded bottom of 9×8"


def test_shared_parameters_count_once() -> None:
    twin = 'layer {{ name: "{0}" type: "InnerProduct" bottom: "x" top: "{0}" param {{ name: "w" }} ' \
           "inner_product_param {{ num_output: 10 }} }}"  # fmt: skip
    one, other = build(twin.format("a") + twin.format("b")).layers[-2:]
    assert (one.learned, other.learned) == (2880 + 10, 10)  # the biases have no name
    assert [parameter.owner for parameter in other.parameters] == ["a", None]


def test_memory_of_tops() -> None:
    """A blob once; in place and reshaped ones nothing; copies have gradients of their own."""
    layers = build(
        """
        layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 1 kernel_size: 1 } }
        layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
        layer { name: "f" type: "Flatten" bottom: "c" top: "f" }
        layer { name: "s" type: "Sigmoid" bottom: "c" top: "s" }
        """
    ).layers
    numbers = {
        layer.layer.name: (layer.data_numbers, layer.gradient_numbers, layer.logged_numbers)
        for layer in layers
    }
    blob = 2 * 9 * 8
    assert numbers == {
        "input": (4 * blob, 0, 4 * blob),
        "c": (blob, blob, blob),
        "r": (0, 0, blob),
        "c_r_0_split": (0, 2 * blob, 2 * blob),
        "f": (0, 0, blob),
        "s": (blob, blob, blob),
    }


def test_nvidia_batch_norm_learns_its_scale() -> None:
    layer = last(
        'layer { name: "b" type: "BatchNorm" bottom: "x" top: "b" batch_norm_param { scale_bias: true } }'
    )
    assert (layer.learned, layer.statistics) == (8, 9)


def test_alexnet_and_vgg_convolutions() -> None:
    """Multiply-adds of single layers in the literature: AlexNet's conv2 223.9 M (two groups), VGG's conv1_2 1.85 G."""
    conv2 = pb.ConvolutionParameter(num_output=256, pad=[2], kernel_size=[5], group=2)
    layer = pb.LayerParameter(name="conv2", type="Convolution", top=["conv2"], convolution_param=conv2)
    assert layer_shapes(layer, [(1, 96, 27, 27)]).multiply_adds == 223_948_800
    conv1_2 = pb.ConvolutionParameter(num_output=64, pad=[1], kernel_size=[3])
    layer = pb.LayerParameter(name="conv1_2", type="Convolution", top=["conv1_2"], convolution_param=conv1_2)
    assert layer_shapes(layer, [(1, 64, 224, 224)]).multiply_adds == 1_849_688_064


def test_parameters_are_shapes_of_blobs() -> None:
    layer = last('layer { name: "s" type: "Scale" bottom: "x" top: "s" scale_param { bias_term: true } }')
    assert [prod(parameter.shape) for parameter in layer.parameters] == [4, 4]
