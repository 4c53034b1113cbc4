"""BatchNorm, Scale and ReLU at once: real Caffe's numbers in all blobs, whatever is done between passes."""

from itertools import product
from pathlib import Path

import pytest

from batchbrew import caffe
from tests.caffe.fusing.chains import (
    BACKWARD,
    BIAS,
    FORWARD,
    LOOK,
    STATISTICS,
    Arrays,
    Example,
    Step,
    again,
    assert_three_alike,
    chain,
    convolution,
    example,
    inputs,
    layer,
    loss,
    scores,
)

IMAGES, ONE, ROWS = (4, 2, 6, 5), (1, 2, 6, 5), (4, 5)


def net(middle: str, shape: tuple[int, ...] = IMAGES, first: str = "", top: str = "z", head: str = "") -> str:
    """`middle` makes z of the blob a, which a convolution of images or an InnerProduct of rows makes."""
    below = (
        convolution("first", "x", "a", first)
        if len(shape) == 4
        else layer("InnerProduct", "first", "x", "a", f"{first} inner_product_param {{ num_output: 5 }}")
    )
    return head + inputs(shape, labels=shape[0]) + below + middle + scores(top) + loss()


PLACES = {
    "in place": "aaa",
    "of their own": "bcd",
    "first of its own": "bbb",
    "last of its own": "aab",
    "second of its own": "abb",
    "relu in place": "bcc",
}
CHAINS = []
for (place, tops), kinds, shape in product(PLACES.items(), ["b", "bs", "bsr", "br"], [IMAGES, ONE, ROWS]):
    if len(set(PLACES[place][: len(kinds)])) > 1 or place in ("in place", "of their own"):
        tops = tops[: len(kinds)]
        text = net(chain("a", tops, kinds), shape, top=tops[-1])
        CHAINS.append(example(f"{kinds} {place} {'x'.join(map(str, shape))}", Example(text)))

GLOBAL = "batch_norm_param { use_global_stats: true }"
FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"
OTHERS = {
    "global statistics": net(chain("a", "bcz", norm=GLOBAL)),
    "global statistics in place": net(chain("a", "aaa", norm=GLOBAL), top="a"),
    "own statistics in TEST": net(chain("a", "bcz", norm="batch_norm_param { use_global_stats: false }")),
    "another fraction and eps": net(
        chain("a", "bcz", norm="batch_norm_param { moving_average_fraction: 0.5 eps: 0.3 }")
    ),
    "frozen scale": net(chain("a", "bcz", scale=f"{BIAS} {FROZEN}")),
    "frozen scale in place": net(chain("a", "aaa", scale=f"{BIAS} {FROZEN}"), top="a"),
    "frozen factors": net(chain("a", "bcz", scale=f"{BIAS} param {{ lr_mult: 0 }}")),
    "frozen shifts": net(chain("a", "bcz", scale=f"{BIAS} param {{ }} param {{ lr_mult: 0 }}")),
    "frozen below": net(chain("a", "bcz", norm=STATISTICS), first=FROZEN),
    "frozen below in place": net(chain("a", "aaa", norm=STATISTICS), first=FROZEN, top="a"),
    "frozen below, statistics not": net(chain("a", "bcz"), first=FROZEN),
    "all frozen": net(chain("a", "bcz", norm=STATISTICS, scale=f"{BIAS} {FROZEN}"), first=FROZEN),
    "forced": net(chain("a", "bcz"), head="force_backward: true "),
    "forced, all frozen": net(
        chain("a", "aaz", norm=STATISTICS, scale=f"{BIAS} {FROZEN}"), first=FROZEN, head="force_backward: true "
    ),
    "weighted top": net(chain("a", "bcz", relu="loss_weight: 0.3")),
    "weighted top in place": net(chain("a", "aaa", relu="loss_weight: 0.3"), top="a"),
    "weighted outputs": net("", top="a") + chain("a", "bcz", relu="loss_weight: 0.3"),
    "weighted output of a scale": net("", top="a") + chain("a", "bb", "bs", scale=f"{BIAS} loss_weight: -2"),
    "weighted blob between": net(chain("a", "bcz", norm="loss_weight: 0.2")),
    "two weights": net(chain("a", "bcz", scale=f"{BIAS} loss_weight: 0.2", relu="loss_weight: 0.3")),
    "negative slope": net(chain("a", "bcz", relu="relu_param { negative_slope: 0.1 }")),
    "negative slope in place": net(chain("a", "aaa", relu="relu_param { negative_slope: 0.1 }"), top="a"),
    "axis 0": net(chain("a", "bcz", scale="scale_param { axis: 0 bias_term: true }")),
    "axis 1 from behind": net(chain("a", "bcz", scale="scale_param { axis: -3 bias_term: true }")),
    "axes 1 and 2": net(chain("a", "bcz", scale="scale_param { num_axes: 2 bias_term: true }")),
    "one factor": net(chain("a", "bcz", scale="scale_param { num_axes: 0 bias_term: true }")),
    "no shifts": net(chain("a", "bcz", scale="")),
    "no shifts in place": net(chain("a", "aaa", scale=""), top="a"),
    "two bottoms": net(
        chain("a", "b", "b") + layer("Power", "p", "a", "p")
        + layer("Scale", "scale", ["b", "p"], "z", "scale_param { axis: 0 }")
    ),
    "factors of an input": inputs(IMAGES, (5,)) + convolution("first", "x", "a") + chain("a", "b", "b")
    + layer("Scale", "scale", ["b", "x1"], "b", BIAS) + scores("b") + loss(),
    "two readers": net(
        chain("a", "bcz") + layer("TanH", "t", "z", "t") + layer("Eltwise", "e", ["z", "t"], "e"), top="e"
    ),
    "readers between": net(
        chain("a", "bcz") + layer("TanH", "t", "c", "t") + layer("Eltwise", "e", ["z", "t"], "e"), top="e"
    ),
    "read before, too": net(
        layer("TanH", "t", "a", "t") + chain("a", "bcz") + layer("Eltwise", "e", ["z", "t"], "e"), top="e"
    ),
    "one behind another": net(chain("a", "bcz") + again(chain("z", "def")), top="f"),
    "dropout at test in place behind": net(chain("a", "aaa") + layer("Dropout", "d", "a", "a"), top="a"),
    "relu again": net(chain("a", "aaa") + layer("ReLU", "again", "a", "a"), top="a"),
    "sigmoid in place behind": net(chain("a", "aaa") + layer("Sigmoid", "sig", "a", "a"), top="a"),
    "pooled": net(
        chain("a", "aaa") + layer("Pooling", "p", "a", "z", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    ),
    "flattened": net(chain("a", "aaa") + layer("Flatten", "f", "a", "z")),
    "reshaped": net(chain("a", "bcd") + layer("Reshape", "f", "d", "z", "reshape_param { shape { dim: 0 dim: -1 } }")),
    "no gradient to the norm": net(chain("a", "bcz", scale=f"{BIAS} propagate_down: false")),
    "no gradient to the scale": net(chain("a", "bcz", relu="propagate_down: false")),
    "no gradient below": net(chain("a", "bcz", norm="propagate_down: false")),
    "no loss behind": inputs(IMAGES) + convolution("first", "x", "a") + chain("a", "bcz"),
    "an end without a loss": net(chain("a", "bcz")) + again(chain("a", "efg")),
    "of the data": inputs(IMAGES) + chain("x", "bcz") + scores("z") + loss(),
    "of the data, in place": inputs(IMAGES) + chain("x", "xxx") + scores("x") + loss(),
    "of the data, without statistics": inputs(IMAGES) + chain("x", "bcz", norm=STATISTICS) + scores("z") + loss(),
    "of the data, without statistics, in place": inputs(IMAGES) + chain("x", "bbb", norm=STATISTICS)
    + scores("b") + loss(),
    "five axes": inputs((3, 2, 3, 2, 2), labels=3) + chain("x", "bcz") + scores("z") + loss(),
    "three axes": inputs((3, 2, 5), labels=3) + chain("x", "bcz") + scores("z") + loss(),
    "one channel": inputs((3, 1, 5, 4), labels=3) + layer("Power", "p", "x", "a") + chain("a", "bcz")
    + scores("z") + loss(),
    "points": inputs((5, 3, 1, 1), labels=5) + convolution("first", "x", "a", about="num_output: 4 kernel_size: 1")
    + chain("a", "bcz") + scores("z") + loss(),
    "shared factors": net(
        chain("a", "bcz", scale=f'{BIAS} param {{ name: "s" }} param {{ name: "t" }}')
        + again(chain("z", "def", scale=f'{BIAS} param {{ name: "s" }} param {{ name: "t" }}')),
        top="f",
    ),
}  # fmt: skip
TEST_TOO = ["global statistics", "own statistics in TEST", "no shifts in place", "two readers", "forced",
            "weighted top", "dropout at test in place behind", "frozen scale", "of the data, in place"]  # fmt: skip
SCRATCH = "diff b"  # Caffe's Scale computes in its bottom's gradient, when nobody asks for that
SCRATCHING = ["frozen below", "no gradient to the norm", "of the data, without statistics"]
CHAINS += [
    example(name, Example(text, besides=SCRATCH if name in SCRATCHING else None))
    for name, text in OTHERS.items()
    if "at test" not in name
]
CHAINS += [example(f"{name}, in phase TEST", Example(OTHERS[name], phase=caffe.TEST)) for name in TEST_TOO]
CHAINS.append(example("factors of 0, large shifts", Example(net(chain("a", "bcz")), zeros=2, shifts=100)))
CHAINS.append(example("large shifts in place", Example(net(chain("a", "aaa"), top="a"), shifts=100)))

FILL: Step = ("fill", 1)
PASS = [FILL, FORWARD, BACKWARD]


def deeds(tops: str) -> dict[str, list[Step]]:
    """What may be done between passes. `tops`: those of norm, scale and relu."""
    norm, scale, relu = list(tops)
    return {
        "begun within": [*PASS, LOOK, ("forward", "scale", None), LOOK, BACKWARD, LOOK],
        "ended within": [*PASS, ("fill", 2), ("forward", None, "norm"), LOOK, ("forward", "scale", None),
                         BACKWARD, LOOK],
        "ended within, then backward": [*PASS, ("fill", 2), ("forward", None, "scale"), BACKWARD, LOOK],
        "the first alone again": [FILL, FORWARD, ("forward", "norm", "norm"), BACKWARD, LOOK],
        "the last alone again": [FILL, FORWARD, ("forward", "relu", "relu"), BACKWARD, LOOK],
        "backward cut": [FILL, FORWARD, ("backward", None, "relu"), LOOK, ("backward", "scale", None), LOOK],
        "backward cut before the norm": [FILL, FORWARD, ("backward", None, "scale"), LOOK, ("backward", "norm", None),
                                         LOOK],
        "backward cut, twice": [FILL, FORWARD, ("backward", None, "scale"), BACKWARD, LOOK, BACKWARD, LOOK],
        "backward from within": [FILL, FORWARD, BACKWARD, ("backward", "scale", None), LOOK],
        "backward of the norm alone": [FILL, FORWARD, BACKWARD, ("backward", "norm", "norm"), LOOK],
        "backward twice": [FILL, FORWARD, BACKWARD, BACKWARD, LOOK],
        "backward three times, seen": [FILL, FORWARD, BACKWARD, LOOK, BACKWARD, LOOK, BACKWARD, LOOK],
        "other inputs, gradients of before": [*PASS, ("fill", 2), FORWARD, LOOK],
        "other inputs, data of before": [*PASS, ("fill", 2), LOOK],
        "watched": [FILL, FORWARD, ("watch", "before_backward"), BACKWARD, LOOK, *PASS, LOOK],
        "watched from the first": [("watch", "after_forward"), *PASS, LOOK],
        "another way": [FILL, ("fuse", True), FORWARD, ("fuse", False), BACKWARD, LOOK, FORWARD, ("fuse", True),
                        BACKWARD, LOOK],
        "gradient of the last written": [*PASS, ("write", relu, "diff", 3), LOOK],
        "gradient of the last peeked and written": [*PASS, ("peek", scale, "diff"), ("write", relu, "diff", 3), LOOK],
        "gradient written, then backward from there": [*PASS, ("write", relu, "diff", 3), ("backward", "relu", None),
                                                       LOOK],
        "gradient between written": [*PASS, ("write", scale, "diff", 3), ("backward", "scale", None), LOOK],
        "data of the last written": [FILL, FORWARD, ("write", relu, "data", 3), LOOK, BACKWARD, LOOK],
        "data of the scale written": [FILL, FORWARD, ("write", scale, "data", -3), LOOK, BACKWARD, LOOK],
        "data of the norm written": [FILL, FORWARD, ("write", norm, "data", 3), LOOK, BACKWARD, LOOK],
        "data below written": [FILL, FORWARD, ("write", "a", "data", 3), BACKWARD, LOOK],
        "data below written, seen later": [*PASS, ("write", "a", "data", 3), ("write", "x", "data", 3), LOOK],
        "data written, then on from there": [FILL, FORWARD, ("write", norm, "data", 3), ("forward", "scale", None),
                                             BACKWARD, LOOK],
        "views held": [("hold",), *PASS, LOOK, ("fill", 2), FORWARD, BACKWARD, LOOK],
        "views held from between": [FILL, FORWARD, ("hold",), BACKWARD, LOOK, *PASS, LOOK, ("let go",), *PASS, LOOK],
        "views held, gradients of before": [*PASS, ("hold",), ("fill", 2), FORWARD, LOOK],
        "factors written between": [FILL, FORWARD, ("scale", "scale", 2), LOOK, BACKWARD, LOOK],
        "factors written after": [*PASS, ("scale", "scale", 2), LOOK],
        "weights written after": [*PASS, ("scale", "first", 2), ("scale", "score", 2), LOOK],
        "fewer images": [*PASS, ("reshape", 2), ("fill", 2), FORWARD, BACKWARD, LOOK],
        "more images": [*PASS, ("reshape", 6), ("fill", 2), FORWARD, LOOK, BACKWARD, LOOK],
        "fewer images, then as before": [*PASS, ("reshape", 2), *PASS, ("reshape", 4), *PASS, LOOK],
    }  # fmt: skip


# In place, Caffe's Scale has x only until its first backward pass, which computes in its memory.
AGAIN = ["backward cut, twice", "backward from within", "backward twice", "backward three times, seen",
         "gradient written, then backward from there", "gradient between written"]  # fmt: skip


def besides(deed: str, place: str) -> str | None:
    return "gradient scale 0" if deed in AGAIN and place != "of their own" else None


DEEDS = [
    example(
        f"{name}: {place}", Example(net(chain("a", tops), top=tops[-1]), steps, besides=besides(name, place))
    )
    for place, tops in [("in place", "aaa"), ("of their own", "bcd"), ("mixed", "bbd")]
    for name, steps in deeds(tops).items()
]


@pytest.mark.parametrize("name", [*CHAINS, *DEEDS])
def test_real_caffes_numbers_both_ways(name: str, caffe_chains: dict[str, Arrays], tmp_path: Path) -> None:
    assert_three_alike(name, caffe_chains[name], tmp_path)
