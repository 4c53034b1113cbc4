"""The families of networks: what options each adds, what it is trained with, and from options to a network."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from batchbrew.errors import InputError
from batchbrew.nets import alexnet, feedforward, resnet, resnet_he, vgg
from batchbrew.nets.blocks import unchanged
from batchbrew.nets.generation import Network
from batchbrew.nets.inputs import ILSVRC12_MEAN
from batchbrew.nets.network_options import read_mean
from batchbrew.solver.solver import ALEXNET_RATES, RESNET_RATES, VGG19_RATES, Rates

SIMON = "Simon, Rodner, Denzler, arXiv 1612.01452"
DEFAULT_STEM = "imagenet"
SMALL_STEM_HINT = (
    "--stem small begins with a 3×3 convolution of stride 1 and without pooling, and so keeps more of it"
)


@dataclass(frozen=True)
class Family:
    """`network` may raise InputError for options that make no sense together."""

    description: str
    example: str  # options, after the command
    crop: int
    rates: Rates
    device_batch_images: int
    add_options: Callable[[argparse._ArgumentGroup], None]
    network: Callable[[argparse.Namespace], Network]


def _in_words(values: Iterable[object]) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} or {last}" if first else last


def _add_depth(group: argparse._ArgumentGroup, depths: Iterable[int]) -> None:
    group.add_argument("--depth", type=int, required=True, metavar="N", help=f"layers: {_in_words(depths)}")


def _check_depth(depth: int, depths: Iterable[int]) -> None:
    if depth not in depths:
        raise InputError(f"--depth {depth} is not known: it is {_in_words(depths)}")


def _add_original_and_scale(group: argparse._ArgumentGroup, whose: str) -> None:
    group.add_argument(
        "--original",
        action="store_true",
        help=f"{whose}, without batch normalisation; its released weights fit",
    )
    group.add_argument(
        "--scale",
        action="store_true",
        help="a learned Scale after every BatchNorm; the release has it only on the images",
    )


def _feedforward_options(options: argparse.Namespace) -> dict[str, feedforward.Normalise]:
    """What is done to images and blobs in the batch-normalised AlexNet or VGG."""
    return {
        "prepare": feedforward.normalised_images if read_mean(options) is None else unchanged,
        "normalise": feedforward.batch_norm_scale if options.scale else feedforward.batch_norm,
    }


def _check_original(options: argparse.Namespace) -> None:
    if options.scale:
        raise InputError("--scale follows BatchNorm, which --original is without: leave one of them away")


def _alexnet(options: argparse.Namespace) -> Network:
    mean = read_mean(options)
    if options.original:
        _check_original(options)
        body = alexnet.alexnet_original(options.classes)
        return Network("alexnet_original", lambda crop: body, mean or ILSVRC12_MEAN, batch_normalised=False)
    body = alexnet.alexnet(options.classes, **_feedforward_options(options))
    return Network("alexnet", lambda crop: body, mean)


def _vgg(options: argparse.Namespace) -> Network:
    depth, mean = options.depth, read_mean(options)
    _check_depth(depth, vgg.DEPTHS)
    if options.original:
        _check_original(options)
        body = vgg.vgg_original(depth, options.classes)
        return Network(
            f"vgg{depth}_original", lambda crop: body, mean or ILSVRC12_MEAN, batch_normalised=False
        )
    body = vgg.vgg(depth, options.classes, **_feedforward_options(options))
    return Network(f"vgg{depth}", lambda crop: body, mean, deploy_says_global=True)


def _add_resnet_options(group: argparse._ArgumentGroup) -> None:
    _add_depth(group, resnet.DEPTHS)
    group.add_argument(
        "--variant",
        choices=list(_RESNETS),
        default="preact",
        help="preact, the default: normalised before a convolution, as Simon et al. have it; he: after it, "
        f"as in He's release ({_in_words(resnet_he.DEPTHS)})",
    )
    group.add_argument(
        "--stride-on",
        choices=["1x1", "3x3"],
        help="which convolution of a bottleneck of --variant he halves the image; default: 1x1, as in He's "
        "release; 3x3 is what torchvision calls v1.5",
    )
    group.add_argument(
        "--stem",
        choices=list(resnet.STEMS),
        help="small, for small images: 3x3 of stride 1 and no pooling; imagenet, the default: 7x7 of stride 2 "
        "and pooling",
    )


def _resnet(options: argparse.Namespace) -> Network:
    return _RESNETS[options.variant](options)


def _small_hint(options: argparse.Namespace) -> str:
    return SMALL_STEM_HINT if options.stem is None else ""


def _resnet_preact(options: argparse.Namespace) -> Network:
    _check_depth(options.depth, resnet.DEPTHS)
    if options.stride_on is not None:
        raise InputError("--stride-on is for --variant he: the pre-activation nets have it on the 3×3")
    mean = read_mean(options)
    body = resnet.resnet(
        options.depth,
        options.classes,
        prepare=resnet.normalised_images if mean is None else unchanged,
        stem=options.stem or DEFAULT_STEM,
    )
    return Network(
        f"resnet{options.depth}", lambda crop: body, mean, hint_for_small_crops=_small_hint(options)
    )


def _resnet_he(options: argparse.Namespace) -> Network:
    depth, stride_on = options.depth, options.stride_on
    if depth not in resnet_he.DEPTHS:
        raise InputError(
            f"--depth {depth} is not known for --variant he: it is {_in_words(resnet_he.DEPTHS)}"
        )
    if stride_on is not None and stride_on not in resnet_he.DEPTHS[depth].kinds:
        raise InputError(
            f"--stride-on {stride_on} is for bottlenecks: --depth {depth} has only 3×3 convolutions"
        )
    return Network(
        f"resnet{depth}_he",
        lambda crop: resnet_he.resnet_he(
            depth, options.classes, crop, stride_on=stride_on, stem=options.stem or DEFAULT_STEM
        ),
        read_mean(options) or ILSVRC12_MEAN,
        deploy_says_global=True,
        hint_for_small_crops=_small_hint(options),
    )


_RESNETS = {"preact": _resnet_preact, "he": _resnet_he}


def _add_alexnet_options(group: argparse._ArgumentGroup) -> None:
    _add_original_and_scale(group, "BVLC's AlexNet")


def _add_vgg_options(group: argparse._ArgumentGroup) -> None:
    _add_depth(group, vgg.DEPTHS)
    _add_original_and_scale(group, "the VGG team's")


# Device batches are those with which the networks were released.
FAMILIES = {
    "alexnet": Family(
        f"AlexNet with batch normalisation ({SIMON}),\nor BVLC's.",
        example="--classes 1000",
        crop=227,
        rates=ALEXNET_RATES,
        device_batch_images=128,
        add_options=_add_alexnet_options,
        network=_alexnet,
    ),
    "vgg": Family(
        f"VGG with batch normalisation ({SIMON}),\nor the VGG team's.",
        example="--depth 16 --classes 1000",
        crop=224,
        rates=VGG19_RATES,
        device_batch_images=16,
        add_options=_add_vgg_options,
        network=_vgg,
    ),
    "resnet": Family(
        f"a ResNet with batch normalisation, pre-activation ({SIMON})\nor as He et al. released it (arXiv 1512.03385).",
        example="--depth 50 --classes 1000",
        crop=224,
        rates=RESNET_RATES,
        device_batch_images=16,
        add_options=_add_resnet_options,
        network=_resnet,
    ),
}
