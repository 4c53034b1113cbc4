"""Options of every generator about its network, and from them to what is to be changed in it."""

import argparse
import math

from batchbrew.errors import InputError
from batchbrew.nets.changes import Changes, RateFactor
from batchbrew.nets.inputs import Mean

PIXEL_RANGE = (0, 255)


def network_options(parser: argparse.ArgumentParser, crop: int) -> argparse._ArgumentGroup:
    """What the network is; a family, whose images are `crop` wide, adds its own to the group that is returned."""
    group = parser.add_argument_group("network")
    group.add_argument("--classes", type=int, default=1000, metavar="N", help="default: 1000")
    group.add_argument(
        "--crop", type=int, default=crop, metavar="PIXELS", help=f"side of its input; default: {crop}"
    )
    mean = group.add_mutually_exclusive_group()
    mean.add_argument(
        "--mean",
        metavar="B,G,R",
        help="subtract these from every image, instead of a BatchNorm on the images",
    )
    mean.add_argument(
        "--mean-file",
        metavar="FILE",
        help="the same with a mean image, which must have the size of every single image",
    )
    group.add_argument(
        "--bn",
        choices=["caffe", "nvcaffe"],
        default="caffe",
        help="nvcaffe: BatchNorm and Scale in one layer, as only NVIDIA Caffe has it (scale_bias: true)",
    )
    group.add_argument(
        "--global-stats",
        action="store_true",
        help="write use_global_stats: true into every BatchNorm: for fine-tuning with a small device batch",
    )
    group.add_argument(
        "--bn-fraction",
        type=float,
        metavar="F",
        help="moving_average_fraction of every BatchNorm; default: the release's, 0.9 in AlexNet and VGG, elsewhere "
        "Caffe's 0.999, with which a training of less than a few thousand iterations is tested with stale statistics",
    )
    group.add_argument(
        "--lr-mult",
        action="append",
        default=[],
        metavar="LAYERS=FACTOR",
        help="multiply the learning rate of the layers so named (* and ? stand for anything), like 'conv*=0.1'; "
        "0 freezes them; may be repeated",
    )
    group.add_argument(
        "--classifier-name",
        metavar="NAME",
        help="of the last layer: with a new one, weights of another classifier are not loaded into it",
    )
    group.add_argument("--name", help="of the network and its snapshots; default: family and depth")
    return group


def read_mean(options: argparse.Namespace) -> Mean | None:
    """What --mean or --mean-file says, if one is given. Raises InputError."""
    if options.mean_file is not None:
        return Mean(file=options.mean_file)
    if options.mean is None:
        return None
    try:
        values = tuple(map(float, options.mean.split(",")))
    except ValueError:
        values = ()
    lowest, highest = PIXEL_RANGE
    if len(values) != 3 or not all(lowest <= value <= highest for value in values):
        raise InputError(
            f"--mean {options.mean} is not three numbers from {lowest} to {highest} with commas: B,G,R like 104,117,123"
        )
    return Mean(values)


def read_changes(options: argparse.Namespace) -> Changes:
    """Raises InputError for what cannot be meant."""
    return Changes(
        global_statistics=options.global_stats,
        moving_average_fraction=options.bn_fraction,
        classifier_name=options.classifier_name,
        fused_batch_norm=options.bn == "nvcaffe",
        rate_factors=[_rate_factor(text) for text in options.lr_mult],
    )


def _rate_factor(text: str) -> RateFactor:
    pattern, _, factor = text.rpartition("=")
    try:
        number = float(factor)
    except ValueError:
        number = math.nan
    if not pattern or not 0 <= number < math.inf:
        raise InputError(
            f"--lr-mult {text} is not LAYERS=FACTOR with a factor of at least 0, like 'conv*=0.1'"
        )
    return RateFactor(pattern, number)
