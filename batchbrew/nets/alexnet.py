"""AlexNet (Krizhevsky, Sutskever, Hinton, 2012): with batch normalisation, and as BVLC released it for Caffe.

With batch normalisation it is that of Simon, Rodner and Denzler (arXiv 1612.01452): local response norm and
dropout are gone. Layers have the names of the released weights; `norm1` and `norm2`, once the blobs of the
local response norm, are there what the ReLUs write.
"""

from functools import partial

from batchbrew.nets.blocks import (
    MSRA,
    constant,
    dropout,
    gaussian,
    local_response_norm,
    max_pool,
    relu,
)
from batchbrew.nets.feedforward import (
    Normalise,
    batch_norm,
    biased_convolution,
    biased_inner_product,
    normalised_images,
)
from batchbrew.nets.netspec import NetBuilder
from batchbrew.nets.phases import Body


def alexnet(
    classes: int, *, prepare: Normalise = normalised_images, normalise: Normalise = batch_norm
) -> Body:
    """The batch-normalised one; `prepare` is what happens to the images."""
    return partial(_batch_normalised, classes=classes, prepare=prepare, normalise=normalise)


def alexnet_original(classes: int) -> Body:
    """BVLC's (BVLC/caffe, models/bvlc_alexnet): images come with their mean subtracted."""
    return partial(_original, classes=classes)


def _batch_normalised(
    net: NetBuilder, data: str, *, classes: int, prepare: Normalise, normalise: Normalise
) -> str:
    conv, fc = biased_convolution, partial(biased_inner_product, filler=MSRA, bias_filler=constant(0))
    top = prepare(net, data)
    top = conv(net, "conv1", top, 96, kernel=11, stride=4)
    top = relu(net, "relu1", normalise(net, top), "norm1")
    top = max_pool(net, "pool1", top, kernel=3, stride=2)
    top = conv(net, "conv2", top, 256, kernel=5, pad=2, group=2)
    top = relu(net, "relu2", normalise(net, top), "norm2")
    top = max_pool(net, "pool2", top, kernel=3, stride=2)
    top = conv(net, "conv3", top, 384, kernel=3, pad=1)
    top = relu(net, "relu3", normalise(net, top))
    top = conv(net, "conv4", top, 384, kernel=3, pad=1, group=2)
    top = relu(net, "relu4", normalise(net, top))
    top = conv(net, "conv5", top, 256, kernel=3, pad=1, group=2)
    top = relu(net, "relu5", normalise(net, top))
    top = max_pool(net, "pool5", top, kernel=3, stride=2)
    top = fc(net, "fc6", top, 4096)
    top = relu(net, "relu6", normalise(net, top))
    top = fc(net, "fc7", top, 4096)
    top = relu(net, "relu7", normalise(net, top))
    return fc(net, "fc8", top, classes)


def _original(net: NetBuilder, data: str, *, classes: int) -> str:
    conv = partial(biased_convolution, filler=gaussian(0.01))
    # Krizhevsky's: a positive bias keeps the ReLU behind it alive at the start, in the layers named in the paper.
    alive = constant(0.1)
    fc = partial(biased_inner_product, filler=gaussian(0.005), bias_filler=alive)
    top = relu(net, "relu1", conv(net, "conv1", data, 96, kernel=11, stride=4))
    top = local_response_norm(net, "norm1", top)
    top = max_pool(net, "pool1", top, kernel=3, stride=2)
    top = relu(net, "relu2", conv(net, "conv2", top, 256, kernel=5, pad=2, group=2, bias_filler=alive))
    top = local_response_norm(net, "norm2", top)
    top = max_pool(net, "pool2", top, kernel=3, stride=2)
    top = relu(net, "relu3", conv(net, "conv3", top, 384, kernel=3, pad=1))
    top = relu(net, "relu4", conv(net, "conv4", top, 384, kernel=3, pad=1, group=2, bias_filler=alive))
    top = relu(net, "relu5", conv(net, "conv5", top, 256, kernel=3, pad=1, group=2, bias_filler=alive))
    top = max_pool(net, "pool5", top, kernel=3, stride=2)
    top = dropout(net, "drop6", relu(net, "relu6", fc(net, "fc6", top, 4096)))
    top = dropout(net, "drop7", relu(net, "relu7", fc(net, "fc7", top, 4096)))
    return biased_inner_product(net, "fc8", top, classes, filler=gaussian(0.01), bias_filler=constant(0))
