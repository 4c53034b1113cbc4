"""Every family, variant and depth with every option: generated from the axes below, not listed.

Depths, a variant's own options and those of BatchNorm are combined each with each. What has nothing to do with
the others (sources, classes, mean, rates, the classifier's name) goes round, at its own pace each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from batchbrew.nets import resnet, resnet_he, vgg
from batchbrew.nets.command import generator_parser
from batchbrew.nets.families import FAMILIES
from batchbrew.nets.generation import Model, build_model
from batchbrew.nets.requests import read_request

Axis = Sequence[Sequence[str]]

NONE: Sequence[str] = ()
BATCH_NORM: Axis = (
    NONE, ["--bn-fraction", "0.95"], ["--global-stats"], ["--bn", "nvcaffe"],
    ["--bn", "nvcaffe", "--bn-fraction", "0.9"],
)  # fmt: skip
SCALE: Axis = (NONE, ["--scale"])
ROUNDS: Axis = (NONE, NONE, NONE)  # where nothing is combined: so many times around
STEM: Axis = (NONE, ["--stem", "small"])
STRIDE_ON: Axis = (NONE, ["--stride-on", "1x1"], ["--stride-on", "3x3"])
NO_BOTTLENECK: Axis = (NONE, ["--stride-on", "3x3"])

SOURCES: Axis = (
    ["--train", "t_lmdb", "--val", "v_lmdb"], ["--train", "t.txt", "--val", "v.txt"],
    ["--train", "t_lmdb", "--val", "v.txt"], ["--train", "t.txt", "--val", "v_lmdb"],
)  # fmt: skip
CLASSES: Axis = (["--classes", "2"], ["--classes", "7"], NONE, ["--classes", "6"], ["--classes", "40"])
MEAN: Axis = (NONE, ["--mean", "104,117,123"], ["--mean-file", "mean.binaryproto"])
CLASSIFIER: Axis = (NONE, ["--classifier-name", "mine"], NONE, NONE, NONE, NONE, NONE)


@dataclass(frozen=True)
class Combination:
    """A family's options but for --crop and --out; `variant` is what has layers of its own, apart from the depth."""

    family: str
    variant: str
    depth: int | None
    options: tuple[str, ...]

    def __str__(self) -> str:
        """As pytest shows it."""
        return f"{self.variant} {self.depth or ''} {' '.join(self.options)}"

    @property
    def only_nvidia(self) -> bool:
        """Does BVLC Caffe refuse it?"""
        return "nvcaffe" in self.options


def combinations() -> Iterator[Combination]:
    """All of them."""
    turn = 0
    for family, variant, fixed, depth, axes in _variants():
        first = "conv1_1" if family == "vgg" else "conv1"
        rates: Axis = (
            NONE,
            ["--lr-mult", f"{first}=0.1"],
            ["--lr-mult", f"{first}=3", "--lr-mult", "?c*8=0"],
        )
        rates = rates if family != "resnet" else rates[:2]
        for chosen in product(*axes):
            around = [axis[turn % len(axis)] for axis in (SOURCES, CLASSES, MEAN, rates, CLASSIFIER)]
            plain = [word for part in (fixed, *chosen) for word in part]
            if family != "resnet" and "nvcaffe" in plain and "--scale" not in plain:
                around[2] = (
                    NONE  # the images' BatchNorm, which a mean is instead of, is the only one with a Scale
                )
            if "mine" in around[-1]:
                around[-2] = NONE  # a name that the patterns do not know
            turn += 1
            depths = [] if depth is None else ["--depth", str(depth)]
            words = [word for part in (fixed, depths, *chosen, *around) for word in part]
            yield Combination(family, variant, depth, tuple(words))


def _variants() -> Iterator[tuple[str, str, list[str], int | None, Sequence[Axis]]]:
    """Family, name, options, depth, and what is combined."""
    yield "alexnet", "alexnet", [], None, (SCALE, BATCH_NORM)
    yield "alexnet", "alexnet original", ["--original"], None, (ROUNDS,)
    for depth in vgg.DEPTHS:
        yield "vgg", "vgg", [], depth, (SCALE, BATCH_NORM)
        yield "vgg", "vgg original", ["--original"], depth, (ROUNDS,)
    for depth in resnet.DEPTHS:
        yield "resnet", "resnet", [], depth, (STEM, BATCH_NORM)
    for depth, architecture in resnet_he.DEPTHS.items():
        stride_on = STRIDE_ON if "1x1" in architecture.kinds else NO_BOTTLENECK
        yield "resnet", "resnet he", ["--variant", "he"], depth, (stride_on, STEM, BATCH_NORM)


def built(combination: Combination, *further: str) -> Model:
    """What the generator makes of `combination` and `further` options."""
    parser, family = generator_parser(combination.family), FAMILIES[combination.family]
    counts = ["--train-images", "1000", "--val-images", "100", "--out", "x"]
    options = parser.parse_args([*combination.options, *counts, *further])
    warnings: list[str] = []
    network = family.network(options)
    return build_model(read_request(options, network, family.device_batch_images, warnings.append))
