"""BatchNorm and Scale of the data with the convolution behind: real Caffe's numbers in all blobs."""

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

IMAGES = (4, 3, 7, 6)
PLAIN = "num_output: 4 kernel_size: 3"
WINDOWS = {
    "plain": PLAIN,
    "no bias": f"{PLAIN} bias_term: false",
    "padded": f"{PLAIN} pad: 1",
    "padded, no bias": f"{PLAIN} pad: 2 bias_term: false",
    "strided": f"{PLAIN} stride: 2",
    "padded and strided": "num_output: 4 kernel_size: 4 pad: 2 stride: 3",
    "dilated": f"{PLAIN} dilation: 2 pad: 1",
    "of groups": f"{PLAIN} group: 3 pad: 1".replace("4", "6"),
    "points": "num_output: 4 kernel_size: 1",
    "all of the image": "num_output: 4 kernel_h: 7 kernel_w: 6",
    "more pad than image": "num_output: 2 kernel_size: 5 pad: 4 stride: 2",
    "oblong": "num_output: 4 kernel_h: 1 kernel_w: 4 pad_h: 1 pad_w: 2 stride_h: 2 stride_w: 1",
    "one output": "num_output: 1 kernel_size: 3 pad: 1",
}
FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"


def net(
    places: str = "xx",
    window: str = PLAIN,
    first: str = "",
    norm: str = STATISTICS,
    scale: str = BIAS,
    kinds: str = "bs",
    shape: tuple[int, ...] = IMAGES,
    head: str = "",
    more: str = "",
) -> str:
    """The data x, normalised and scaled at `places`, the convolution c, a TanH, and a loss."""
    return (
        head
        + inputs(shape, labels=shape[0])
        + chain("x", places, kinds, norm=norm, scale=scale)
        + convolution("first", places[-1], "c", first, window)
        + (more or layer("TanH", "t", "c", "t"))
        + scores("t")
        + loss()
    )


NETS = {f"window {name}, in place": net(window=about) for name, about in WINDOWS.items()}
NETS |= {f"window {name}": net("ab", about) for name, about in WINDOWS.items()}
NETS |= {
    "statistics ask for a gradient": net(norm=""),
    "statistics ask for a gradient, own blobs": net("ab", norm=""),
    "statistics ask for a gradient, padded": net("bb", WINDOWS["padded"], norm=""),
    "frozen scale": net(scale=f"{BIAS} {FROZEN}"),
    "frozen scale, own blobs": net("ab", scale=f"{BIAS} {FROZEN}"),
    "frozen scale, statistics ask": net("ab", scale=f"{BIAS} {FROZEN}", norm=""),
    "frozen scale, statistics ask, in place": net(scale=f"{BIAS} {FROZEN}", norm=""),
    "frozen factors": net("bb", scale=f"{BIAS} param {{ lr_mult: 0 }}"),
    "frozen shifts": net("bb", scale=f"{BIAS} param {{ }} param {{ lr_mult: 0 }}"),
    "frozen convolution": net(first=FROZEN),
    "frozen convolution, own blobs": net("ab", first=FROZEN, norm=""),
    "frozen weights": net("bb", first="param { lr_mult: 0 }"),
    "frozen bias": net("bb", first="param { } param { lr_mult: 0 }"),
    "all frozen": net("ab", first=FROZEN, scale=f"{BIAS} {FROZEN}"),
    "all frozen, statistics ask": net("ab", first=FROZEN, scale=f"{BIAS} {FROZEN}", norm=""),
    "no scale": net("b", kinds="b"),
    "no scale, in place": net("x", kinds="b"),
    "no scale, statistics ask": net("b", kinds="b", norm=""),
    "no shifts": net(scale=""),
    "no shifts, own blobs, padded": net("ab", WINDOWS["padded"], scale="", norm=""),
    "forced": net(head="force_backward: true "),
    "forced, own blobs, padded": net("ab", WINDOWS["padded"], head="force_backward: true "),
    "forced, frozen": net("ab", first=FROZEN, scale=f"{BIAS} {FROZEN}", head="force_backward: true "),
    "rectified": net("abz", kinds="bsr", norm=""),
    "one image": net(shape=(1, 3, 7, 6)),
    "one image, own blobs, padded": net("ab", WINDOWS["padded"], shape=(1, 3, 7, 6), norm=""),
    "one channel": net(shape=(4, 1, 7, 6)),
    "global statistics": net("ab", norm=f"{STATISTICS} batch_norm_param {{ use_global_stats: true }}"),
    "global statistics ask": net("ab", norm="batch_norm_param { use_global_stats: true }"),
    "weighted": net("ab", first="loss_weight: 0.3", more=layer("TanH", "t", "c", "t")),
    "weighted output": net("ab", norm="") + layer("BatchNorm", "n2", "x", "b2") + layer("Scale", "s2", "b2", "b2", BIAS)
    + convolution("second", "b2", "c2", "loss_weight: 0.3"),
    "weighted input": net("ab", scale=f"{BIAS} loss_weight: 0.3"),
    "no loss": inputs(IMAGES) + chain("x", "ab", "bs", STATISTICS) + convolution("first", "b", "c"),
    "no loss, statistics ask": inputs(IMAGES) + chain("x", "ab", "bs") + convolution("first", "b", "c"),
    "two convolutions": net(
        "ab", norm="", more=convolution("second", "b", "d", about=PLAIN) + layer("Eltwise", "e", ["c", "d"], "t")
    ),
    "a convolution of two": inputs(IMAGES, IMAGES) + chain("x", "ab", "bs")
    + layer("Convolution", "first", ["b", "x1"], "c", f'top: "d" convolution_param {{ {PLAIN} }}')
    + layer("Eltwise", "e", ["c", "d"], "t") + scores("t") + loss(),
    "no gradient to the scale": net("ab", first="propagate_down: false"),
    "a chain behind": net("ab", norm="", more=again(chain("c", "cct"))),
    "relu in place behind": net("ab", more=layer("ReLU", "r", "c", "c") + layer("TanH", "t", "c", "t")),
    "shared weights": net("ab", "num_output: 3 kernel_size: 3 pad: 1", first='param { name: "w" } param { name: "v" }',
        more=convolution("again", "c", "t", 'param { name: "w" } param { name: "v" }',
                         "num_output: 3 kernel_size: 3 pad: 1")),
    "axis": net("ab", more=convolution("second", "c", "t"), first="", window=f"{PLAIN} axis: 1"),
    "transposed": net("ab").replace('"Convolution"', '"Deconvolution"'),
}  # fmt: skip


def scratch(text: str) -> str | None:
    """Caffe's Scale with a top of its own computes in its bottom's gradient, when nobody asks for that."""
    asks = STATISTICS not in text or "force_backward" in text
    still = asks or 'bottom: "a" top: "b"' not in text or f"{BIAS} {FROZEN}" in text or "no loss" in text
    return None if still else "diff a"


CHAINS = [example(f"data, {name}", Example(text, besides=scratch(text))) for name, text in NETS.items()]
for name in ("window padded, in place", "window padded", "statistics ask for a gradient, own blobs"):
    CHAINS.append(
        example(
            f"data, {name}, in phase TEST", Example(NETS[name], phase=caffe.TEST, besides=scratch(NETS[name]))
        )
    )
    CHAINS.append(
        example(f"data, {name}, factors of 0", Example(NETS[name], zeros=2, besides=scratch(NETS[name])))
    )
    CHAINS.append(
        example(f"data, {name}, large shifts", Example(NETS[name], shifts=8, besides=scratch(NETS[name])))
    )

FILL: Step = ("fill", 1)
PASS = [FILL, FORWARD, BACKWARD]
SET = ("write", "c", "diff", 2)


def deeds(norm: str, scale: str) -> dict[str, list[Step]]:
    return {
        "begun within": [*PASS, LOOK, ("forward", "scale", None), LOOK, BACKWARD, LOOK],
        "begun at the convolution": [*PASS, ("forward", "first", None), BACKWARD, LOOK],
        "ended within": [*PASS, ("fill", 2), ("forward", None, "scale"), BACKWARD, LOOK],
        "ended within, then on": [*PASS, ("fill", 2), ("forward", None, "scale"), ("forward", "first", None), BACKWARD,
                                  LOOK],
        "backward cut": [FILL, FORWARD, ("backward", None, "first"), LOOK, ("backward", "scale", None), LOOK],
        "backward cut before the norm": [FILL, FORWARD, ("backward", None, "scale"), LOOK, ("backward", "norm", None),
                                         LOOK],
        "backward of the convolution alone": [FILL, FORWARD, BACKWARD, ("backward", "first", "first"), LOOK],
        "backward twice": [*PASS, BACKWARD, LOOK],
        "watched": [FILL, FORWARD, ("watch", "before_backward"), BACKWARD, LOOK, *PASS, LOOK],
        "another way": [FILL, ("fuse", True), FORWARD, ("fuse", False), BACKWARD, LOOK, FORWARD, ("fuse", True),
                        BACKWARD, LOOK],
        "other inputs, gradients of before": [*PASS, ("fill", 2), FORWARD, LOOK],
        "gradient of the convolution written": [*PASS, ("write", "c", "diff", 3), LOOK],
        "gradient peeked, then written": [*PASS, ("peek", norm, "diff"), ("write", "c", "diff", 3), LOOK],
        "gradient written, then backward": [*PASS, ("write", "c", "diff", 3), ("backward", "first", None), LOOK],
        "data of the scale written": [FILL, FORWARD, ("write", scale, "data", 3), LOOK, BACKWARD, LOOK],
        "data of the norm written": [FILL, FORWARD, ("write", norm, "data", 3), BACKWARD, LOOK],
        "data of the convolution written": [FILL, FORWARD, ("write", "c", "data", 3), BACKWARD, LOOK],
        "input written": [FILL, FORWARD, ("fill", 5), BACKWARD, LOOK],
        "input written after": [*PASS, ("fill", 5), LOOK],
        "views held": [("hold",), *PASS, LOOK, ("fill", 2), FORWARD, BACKWARD, LOOK],
        "views held from between": [FILL, FORWARD, ("hold",), BACKWARD, LOOK, *PASS, LOOK, ("let go",), *PASS, LOOK],
        "factors written between": [FILL, FORWARD, ("scale", "scale", 2), LOOK, BACKWARD, LOOK],
        "factors written after": [*PASS, ("scale", "scale", 2), LOOK],
        "weights written after": [*PASS, ("scale", "first", 2), ("scale", "score", 2), LOOK],
        "fewer images": [*PASS, ("reshape", 2), ("fill", 2), FORWARD, BACKWARD, LOOK],
        "more images": [*PASS, ("reshape", 6), ("fill", 2), FORWARD, LOOK, BACKWARD, LOOK],
    }  # fmt: skip


# In place, Caffe's Scale has x only until its first backward pass, which computes in its memory.
AGAIN = ["begun at the convolution", "backward twice", "gradient written, then backward"]


def besides(deed: str, place: str) -> str | None:
    return "gradient scale 0" if deed in AGAIN and place == "in place" else None


DEEDS = [
    example(
        f"data, {name}: {place}",
        Example(net(tops, WINDOWS["padded and strided"], norm=""), steps, besides=besides(name, place)),
    )
    for place, tops in [("in place", "xx"), ("of their own", "ab")]
    for name, steps in deeds(*tops).items()
]
DEEDS.append(  # these weights lie alike for Python and for the convolution: what is written is written to them
    example(
        "data, weights of points written after",
        Example(net("ab", WINDOWS["points"], norm=""), deeds("a", "b")["weights written after"]),
    )
)
for name in ("no loss", "no loss, statistics ask", "frozen scale, own blobs", "all frozen"):
    DEEDS.append(
        example(f"data, gradient given: {name}", Example(NETS[name], [FILL, FORWARD, SET, BACKWARD, LOOK]))
    )


@pytest.mark.parametrize("name", [*CHAINS, *DEEDS])
def test_real_caffes_numbers_both_ways(name: str, caffe_chains: dict[str, Arrays], tmp_path: Path) -> None:
    assert_three_alike(name, caffe_chains[name], tmp_path)
