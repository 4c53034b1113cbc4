"""Cases of the networks that the generators write, on small images and with few channels."""

from collections.abc import Callable
from random import Random

import numpy as np

from batchbrew.nets import alexnet, resnet, resnet_he, vgg
from batchbrew.nets.inputs import DATA, LABEL
from batchbrew.nets.netspec import NetBuilder
from batchbrew.nets.phases import Body
from batchbrew.nets.shapes import infer_shapes
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.parameters import parameter_values
from batchbrew.parity.specimens.values import Array, between, integers, pixels
from batchbrew.proto import caffe_pb2 as pb

CLASSES = 10
SHRINKS = (16, 16, 8)  # what the numbers of channels are divided by
# Every BatchNorm needs several numbers for each channel, or its variance hangs on rounding: images and crops are
# as small as leaves it so.
IMAGES = (8, 12)


def _alexnet(crop: int) -> Body:
    return alexnet.alexnet(CLASSES)


def _vgg19(crop: int) -> Body:
    return vgg.vgg(19, CLASSES)


def _preactivation(depth: int) -> Callable[[int], Body]:
    return lambda crop: resnet.resnet(depth, CLASSES)


def _he(depth: int) -> Callable[[int], Body]:
    return lambda crop: resnet_he.resnet_he(depth, CLASSES, crop)


# By name: the body for a crop, and the crops.
NETS: dict[str, tuple[Callable[[int], Body], tuple[int, ...]]] = {
    "net:alexnet": (_alexnet, (99, 115)),
    "net:vgg19": (_vgg19, (32, 40)),
    "net:resnet10": (_preactivation(10), (64, 80)),
    "net:resnet50": (_preactivation(50), (64, 80)),
    "net:resnet18-he": (_he(18), (64, 80)),
    "net:resnet50-he": (_he(50), (64, 80)),
}


def generated_case(kind: str, seed: int, number: int) -> Case:
    """Two passes of training or of testing, SoftmaxWithLoss and all; statistics like those of the images."""
    random = Random(f"{seed} {kind} {number}")
    generator = np.random.default_rng(random.getrandbits(64))
    phase = random.choice([pb.TRAIN, pb.TEST])
    body, crops = NETS[kind]
    crop, images = random.choice(crops), random.choice(IMAGES)
    net = _with_ends(body(crop), images, crop, in_test=phase == pb.TEST)
    _shrink(net, random.choice(SHRINKS))
    net.force_backward = phase == pb.TRAIN and random.random() < 0.5  # an Accuracy would end it
    built = infer_shapes(net, phase)
    passes = [
        Pass(
            {
                DATA: pixels(generator, (images, 3, crop, crop)),
                LABEL: integers(CLASSES)(generator, (images,)),
            },
            clear=random.random() < 0.7,
        )
        for _ in range(2)
    ]
    parameters = parameter_values(built, generator)
    parameters.update(_statistics_of_pixels(net, generator))
    return Case(kind, seed, number, net, phase, passes, parameters)


def _with_ends(body: Body, images: int, crop: int, *, in_test: bool) -> pb.NetParameter:
    net = NetBuilder("generated")
    shapes = [pb.BlobShape(dim=[images, 3, crop, crop]), pb.BlobShape(dim=[images])]
    net.add("data", "Input", tops=[DATA, LABEL], input_param=pb.InputParameter(shape=shapes))
    scores = body(net, DATA)
    net.add("loss", "SoftmaxWithLoss", [scores, LABEL])
    if in_test:
        net.add("accuracy", "Accuracy", [scores, LABEL])
        top_5 = pb.AccuracyParameter(top_k=5)
        net.add("accuracy/top5", "Accuracy", [scores, LABEL], ["top5"], accuracy_param=top_5)
    return net.net


def _shrink(net: pb.NetParameter, by: int) -> None:
    """Divide all numbers of outputs but the classifier's."""
    (*_, classifier) = (layer for layer in net.layer if layer.type == "InnerProduct")
    for layer in net.layer:
        if layer.type == "Convolution":
            layer.convolution_param.num_output //= by
        elif layer.type == "InnerProduct" and layer is not classifier and layer.name != classifier.name:
            layer.inner_product_param.num_output //= by


def _statistics_of_pixels(
    net: pb.NetParameter, generator: np.random.Generator
) -> dict[tuple[str, int], Array]:
    """Of a BatchNorm on the images: means and variances of numbers from 0 to 255."""
    draws = between(200, 280), between(9000, 13000), between(2, 2)
    return {
        (layer.name, blob): draw(generator, (3,) if blob < 2 else (1,))
        for layer in net.layer
        if layer.type == "BatchNorm" and layer.bottom[0] == DATA
        for blob, draw in enumerate(draws)
    }
