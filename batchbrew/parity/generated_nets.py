"""Cases of the networks that the generators write, on small images and with few channels."""

from collections.abc import Callable
from random import Random

import numpy as np

from batchbrew.nets import alexnet, resnet, resnet_he, vgg
from batchbrew.nets.inputs import DATA, LABEL
from batchbrew.nets.netspec import NetBuilder
from batchbrew.nets.phases import Body
from batchbrew.nets.shapes import NetworkShapes, infer_shapes
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.parameters import parameter_values
from batchbrew.parity.specimens.values import Array, between, integers, pixels
from batchbrew.proto import caffe_pb2 as pb

CLASSES = 10
MEAN_PIXEL = 117
SHRINKS = (16, 16, 8)  # what the numbers of channels are divided by
# A BatchNorm needs a dozen numbers and more for each channel, or it magnifies rounding. In training fifty of them do
# in any case: real Caffe's own gradients of a ResNet-50 change by a tenth here and there if a last bit of the images
# does (conditioning.py).
IMAGES = (16, 20)


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
    "net:alexnet": (_alexnet, (99,)),
    "net:vgg19": (_vgg19, (32,)),
    "net:resnet10": (_preactivation(10), (64,)),
    "net:resnet50": (_preactivation(50), (64,)),
    "net:resnet18-he": (_he(18), (64,)),
    "net:resnet50-he": (_he(50), (64,)),
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
    normalises_images = any(layer.type == "BatchNorm" and layer.bottom[0] == DATA for layer in net.layer)
    passes = []
    for _ in range(2 if phase == pb.TRAIN else 1):
        image = pixels(generator, (images, 3, crop, crop)) - (0 if normalises_images else MEAN_PIXEL)
        labels = integers(CLASSES)(generator, (images,))
        passes.append(Pass({DATA: image.astype(np.float32), LABEL: labels}, clear=random.random() < 0.7))
    parameters = parameter_values(built, generator)
    parameters.update(_statistics(built, generator))
    return Case(kind, seed, number, net, phase, passes, parameters, several_layers=True, bulky=True)


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


def _statistics(built: NetworkShapes, generator: np.random.Generator) -> dict[tuple[str, int], Array]:
    """Sums of means and of variances, and their factor: of pixels for a BatchNorm on the images, of numbers around 0
    for the others. No variance is below 1, or what goes through fifty of them in a TEST would grow beyond a float.
    """
    values = {}
    for step in built.layers:
        if step.layer.type == "BatchNorm":
            of_images = step.layer.bottom[0] == DATA
            mean, variance = ((100, 140), (4500, 6500)) if of_images else ((-0.5, 0.5), (1, 4))
            factor = float(generator.uniform(1, 3))
            draws = between(*mean), between(*variance), between(1, 1)
            for blob, (draw, parameter) in enumerate(zip(draws, step.parameters, strict=True)):
                values[step.layer.name, blob] = np.float32(factor) * draw(generator, parameter.shape)
    return values
