"""Chains beside Flatten, Reshape and others that hand memory on, in which layers work in place: real Caffe's numbers.

What is written under one name is what backward passes read under another. Most of these nets have wrong gradients in
Caffe; ours are the same ones.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew import caffe
from batchbrew.caffe import mode
from tests.caffe.fusing import chain_probe
from tests.caffe.fusing.chains import (
    BIAS,
    Arrays,
    Example,
    again,
    assert_three_alike,
    chain,
    convolution,
    example,
    inputs,
    layer,
    loss,
    scores,
    units,
)

SAME = "reshape_param { shape { dim: 0 dim: 0 dim: 0 dim: 0 } }"
VIEWS = {
    "flatten": layer("Flatten", "view", "a", "v"),
    "reshape": layer("Reshape", "view", "a", "v", "reshape_param { shape { dim: 0 dim: -1 } }"),
    "concat": layer("Concat", "view", "a", "v"),
    "slice": layer("Slice", "view", "a", "v"),
    "split": layer("Split", "view", "a", "v"),
}


def net(*middle: str, top: str) -> str:
    return inputs((4, 2, 6, 5)) + convolution("first", "x", "a") + "".join(middle) + scores(top) + loss()


def on(kind: str, blob: str, more: str = "") -> str:
    """In place."""
    return layer(kind, f"{kind}_{blob}", blob, blob, more)


def same(bottom: str, top: str) -> str:
    return layer("Reshape", f"view_{top}", bottom, top, SAME)


BRANCHES = same("a", "u") + same("a", "v")
SUM = layer("Eltwise", "e", ["u", "v"], "e")
WHOLE = chain("a", "aaa")
# By name: the net, and what of it is computed at once. A layer that reads what is written over is left out.
NETS: dict[str, tuple[str, list[str]]] = {
    f"squashed in place, {name}": (net(WHOLE, view, on("Sigmoid", "v"), top="v"), ["norm scale"])
    for name, view in VIEWS.items()
} | {
    "scaled in place": (
        net(chain("a", "aa", "br"), VIEWS["flatten"], on("Scale", "v", BIAS), top="v"), ["norm"]
    ),
    "rectified in place, with a reader past it": (
        net(WHOLE, BRANCHES, on("ReLU", "v"), SUM, top="e"), ["norm scale"]
    ),
    "a view of a view, squashed in place": (
        net(WHOLE, VIEWS["flatten"], layer("Flatten", "w", "v", "w"), on("Sigmoid", "w"), top="w"), ["norm scale"]
    ),
    "rectified of a view that is written over in another": (
        net(BRANCHES, chain("u", "uz", "br"), on("Sigmoid", "v"), SUM.replace('"u"', '"z"'), top="e"), ["norm"]
    ),
    "scaled of a view that is written over in another": (
        net(BRANCHES, chain("u", "uz", "bs"), on("Sigmoid", "v"), SUM.replace('"u"', '"z"'), top="e"), ["norm"]
    ),
    "flattened": (net(WHOLE, VIEWS["flatten"], top="v"), ["norm scale relu"]),
    "squashed elsewhere": (
        net(WHOLE, VIEWS["flatten"], layer("Sigmoid", "s", "v", "s"), top="s"), ["norm scale relu"]
    ),
    "rectified elsewhere, then squashed in place": (
        net(chain("a", "bcd"), layer("Flatten", "view", "d", "v"), on("Sigmoid", "v"), top="v"), ["norm scale relu"]
    ),
    "scaled in place, then squashed": (
        net(chain("a", "aa", "bs"), VIEWS["flatten"], on("Sigmoid", "v"), top="v"), ["norm scale"]
    ),
    "behind a sigmoid that it writes over": (net(on("Sigmoid", "a"), chain("a", "abc"), top="c"), ["norm scale relu"]),
    "behind a chain that it writes over": (
        net(WHOLE, again(chain("a", "acd")), top="d"), ["norm scale", "norm2 scale2 relu2"]
    ),
    "beside a reader of what it writes over": (
        net(BRANCHES, layer("TanH", "t", "u", "t"), chain("v", "vzz"), SUM.replace('"u"', '"t"').replace('"v"', '"z"'),
            top="e"),
        ["norm scale relu"],
    ),
    "before a reader of what it writes over": (
        net(BRANCHES, chain("v", "vzz"), layer("TanH", "t", "u", "t"), SUM.replace('"u"', '"t"').replace('"v"', '"z"'),
            top="e"),
        ["norm scale relu"],
    ),
    # Flatten gives its bottom another gradient than that which Slice shares: below there is none.
    "flattened from a view": (
        net(WHOLE, VIEWS["slice"], layer("Flatten", "f", "v", "f"), top="f"), ["norm scale relu"]
    ),
    "flattened from a view of another place": (
        net(chain("a", "bb", "bs"), layer("Slice", "view", "b", "v"), layer("Flatten", "f", "v", "f"), top="f"),
        ["norm scale"],
    ),
}  # fmt: skip
NAMES = [example(f"views: {name}", Example(text)) for name, (text, _) in NETS.items()]


@pytest.mark.parametrize("name", NAMES)
def test_real_caffes_numbers_both_ways(name: str, caffe_chains: dict[str, Arrays], tmp_path: Path) -> None:
    assert_three_alike(name, caffe_chains[name], tmp_path)


@pytest.mark.parametrize("name", NETS)
def test_what_is_computed_at_once(name: str, tmp_path: Path) -> None:
    text, expected = NETS[name]
    assert [" ".join(members) for _, members in units(text, tmp_path)] == expected


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_nothing_that_is_read_again_is_let_go_of(name: str, fused: bool, tmp_path: Path) -> None:
    """Where nobody looks at blobs, as `batchbrew train` has it."""
    learned = []
    before = mode.fuses()
    mode.set_fusing(fused)
    try:
        for keep in (True, False):
            learned.append(weights_after_training(NETS[name][0], keep, tmp_path))
    finally:
        mode.set_fusing(before)
    for kept, let_go in zip(*learned, strict=True):
        np.testing.assert_allclose(let_go, kept, rtol=0, atol=1e-5 * np.abs(kept).max(initial=1))


def weights_after_training(text: str, keep: bool, folder: Path) -> list[NDArray[np.float32]]:
    (folder / "net").write_text(text)
    (folder / "solver").write_text(
        f'net: "{folder}/net" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 9 snapshot_prefix: "{folder}/s"'
    )
    solver = caffe.get_solver(folder / "solver")
    solver.keep_blobs = keep
    job = {"seed": 1, "shifts": 1, "zeros": 0}
    chain_probe.draw_parameters(solver.net, np.random.RandomState(1), job)
    chain_probe.draw_inputs(solver.net, np.random.RandomState(2))
    solver.step(3)
    return [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]
