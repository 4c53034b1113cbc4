"""VGG (Simonyan, Zisserman, arXiv 1409.1556): with batch normalisation, and as its authors released it.

With batch normalisation it is that of Simon, Rodner and Denzler (arXiv 1612.01452), who released VGG19. Layers
have the names of the released weights, `conv{stage}_{number}`, also where nothing was released (11 and 13).
"""

from collections.abc import Callable
from functools import partial

from batchbrew.nets.blocks import XAVIER, constant, dropout, gaussian, max_pool, relu, unchanged
from batchbrew.nets.feedforward import (
    Normalise,
    batch_norm,
    biased_convolution,
    biased_inner_product,
    normalised_images,
)
from batchbrew.nets.netspec import NetBuilder
from batchbrew.nets.phases import Body
from batchbrew.proto import caffe_pb2 as pb

# (net, number of the layer, bottom, outputs) -> top
Unit = Callable[[NetBuilder, str, str, int], str]

WIDTHS = (64, 128, 256, 512, 512)
FULLY_CONNECTED = 4096
# The release's; what batch normalisation follows can start from almost anything.
FILLER, FC_FILLER, FC_BIAS, CLASSIFIER_FILLER = gaussian(0.01), gaussian(0.005), constant(1), gaussian(0.01)


def vgg(
    depth: int, classes: int, *, prepare: Normalise = normalised_images, normalise: Normalise = batch_norm
) -> Body:
    """The batch-normalised network of that depth, a key of DEPTHS; `prepare` is what happens to the images."""
    return partial(
        _body,
        depth=depth,
        classes=classes,
        prepare=prepare,
        conv=partial(_conv, normalise=normalise, filler=FILLER),
        fc=partial(_fc, normalise=normalise),
        filler=CLASSIFIER_FILLER,
    )


def vgg_original(depth: int, classes: int) -> Body:
    """The VGG team's: no normalisation, and dropout; images come with their mean subtracted.

    The release says nothing of fillers. Its nets were trained from shallower ones; Glorot and Bengio's filler,
    the paper says (section 3.1), makes that unnecessary.
    """
    return partial(
        _body,
        depth=depth,
        classes=classes,
        prepare=unchanged,
        conv=partial(_conv, normalise=unchanged, filler=XAVIER),
        fc=_dropped_fc,
        filler=XAVIER,
    )


def _body(
    net: NetBuilder,
    data: str,
    *,
    depth: int,
    classes: int,
    prepare: Normalise,
    conv: Unit,
    fc: Unit,
    filler: pb.FillerParameter,
) -> str:
    top = prepare(net, data)
    for stage, (width, convolutions) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True), 1):
        for number in range(1, convolutions + 1):
            top = conv(net, f"{stage}_{number}", top, width)
        top = max_pool(net, f"pool{stage}", top, kernel=2, stride=2)
    top = fc(net, "6", top, FULLY_CONNECTED)
    top = fc(net, "7", top, FULLY_CONNECTED)
    return biased_inner_product(net, "fc8", top, classes, filler=filler, bias_filler=constant(0))


def _conv(
    net: NetBuilder, number: str, bottom: str, width: int, *, normalise: Normalise, filler: pb.FillerParameter
) -> str:
    """A 3×3 convolution and its ReLU; the size stays."""
    top = biased_convolution(net, f"conv{number}", bottom, width, kernel=3, pad=1, filler=filler)
    return relu(net, f"relu{number}", normalise(net, top))


def _fc(net: NetBuilder, number: str, bottom: str, width: int, *, normalise: Normalise) -> str:
    top = biased_inner_product(net, f"fc{number}", bottom, width, filler=FC_FILLER, bias_filler=FC_BIAS)
    return relu(net, f"relu{number}", normalise(net, top))


def _dropped_fc(net: NetBuilder, number: str, bottom: str, width: int) -> str:
    top = biased_inner_product(net, f"fc{number}", bottom, width, filler=XAVIER, bias_filler=constant(0))
    return dropout(net, f"drop{number}", relu(net, f"relu{number}", top))


# Convolutions in each stage: configurations A, B, D and E of the paper's table 1.
DEPTHS: dict[int, tuple[int, int, int, int, int]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
