"""Training that lets go of blobs learns what training does that keeps them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew import caffe
from batchbrew.caffe import mode
from batchbrew.caffe.solving.solver import Solver
from batchbrew.errors import InputError

SMALL = """
layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 } data_filler { type: "gaussian" } data_filler { type: "constant" } } }
layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
MORE
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" top: "loss" }
"""


@pytest.mark.parametrize(
    "more",
    [
        'layer { name: "a" type: "Accuracy" bottom: "ip" bottom: "l" top: "a" }',
        'layer { name: "p" type: "Power" bottom: "ip" top: "p" } layer { name: "s" type: "Silence" bottom: "p" }',
        'layer { name: "p" type: "Power" bottom: "ip" top: "p" }',
        # a loss that another layer reads: its weight is a gradient that no layer writes
        'layer { name: "r" type: "Reduction" bottom: "ip" top: "r" loss_weight: 0.5 '
        '  reduction_param { operation: SUMSQ } } layer { name: "p" type: "Power" bottom: "r" top: "p" }',
    ],
)
def test_gradients_that_nobody_writes_are_not_let_go_of(tmp_path: Path, more: str) -> None:
    (tmp_path / "net").write_text(SMALL.replace("MORE", more))
    (tmp_path / "solver").write_text(
        f'net: "{tmp_path}/net" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 3 display: 0 random_seed: 3 '
        f'snapshot_prefix: "{tmp_path}/s"'
    )
    weights = []
    for keep in (True, False):
        solver = caffe.get_solver(tmp_path / "solver")
        solver.keep_blobs = keep
        solver.step(3)
        weights.append(solver.net.params["ip"][0].data.copy())
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0]).max() > 0


CHAIN = """
layer { name: "norm" type: "BatchNorm" bottom: "BOTTOM" top: "BOTTOM" }
layer { name: "scale" type: "Scale" bottom: "BOTTOM" top: "BOTTOM" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "BOTTOM" top: "BOTTOM" }
"""
APART = """
layer { name: "norm" type: "BatchNorm" bottom: "BOTTOM" top: "n" }
layer { name: "scale" type: "Scale" bottom: "n" top: "s" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "s" top: "y" }
"""
FROZEN = "param { lr_mult: 0 } "
DATA = """
layer { name: "n0" type: "BatchNorm" bottom: "d" top: "d" STATISTICS }
layer { name: "s0" type: "Scale" bottom: "d" top: "d" SCALE scale_param { bias_term: true } }
"""
NO_RELU = CHAIN.partition('layer { name: "relu"')[0]
SCALE_FIRST = 'layer { name: "s0"'


def between(text: str, top: str, below: str = CHAIN) -> str:
    """DummyData d and l; a convolution c; `below`; `text`, which makes `top`; scores, and a loss."""
    return (
        """
layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param { shape { dim: 3 dim: 2 dim: 6 dim: 5 }
  shape { dim: 3 } data_filler { type: "gaussian" std: 2 } data_filler { type: "constant" value: 1 } } }
FIRST
layer { name: "c" type: "Convolution" bottom: "d" top: "c" convolution_param { num_output: 4 kernel_size: 3
  weight_filler { type: "xavier" } } }
""".replace("FIRST", below if below.lstrip().startswith('layer { name: "n0"') else "")
        + ("" if "n0" in below else below.replace("BOTTOM", "c"))
        + text
        + f'layer {{ name: "ip" type: "InnerProduct" bottom: "{top}" top: "ip" '
        'inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" top: "loss" }'
    )


def layer(kind: str, bottoms: Sequence[str], top: str, more: str = "", name: str = "t") -> str:
    named = " ".join(f'bottom: "{each}"' for each in bottoms)
    return f'layer {{ name: "{name}{top}" type: "{kind}" {named} top: "{top}" {more} }}\n'


CONVOLVED = (
    'convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.2 } }'
)
SHARED = f'param {{ name: "w" }} param {{ name: "v" }} {CONVOLVED}'
SUM, PROD, MAX = (f"eltwise_param {{ operation: {each} }}" for each in ("SUM", "PROD", "MAX"))
APART_DATA = (
    between("", "c", DATA)
    .replace(
        'name: "n0" type: "BatchNorm" bottom: "d" top: "d"',
        'name: "n0" type: "BatchNorm" bottom: "d" top: "m"',
    )
    .replace('name: "s0" type: "Scale" bottom: "d" top: "d"', 'name: "s0" type: "Scale" bottom: "m" top: "q"')
    .replace('type: "Convolution" bottom: "d"', 'type: "Convolution" bottom: "q"')
)
NETS = {
    "chain": between("", "c"),
    "chain apart": between("", "y", APART),
    "split": between(layer("TanH", "c", "a") + layer("TanH", "c", "b") + layer("Eltwise", "ab", "e"), "e"),
    "split of what is not rectified": between(
        layer("Convolution", "c", "a", CONVOLVED) + layer("Eltwise", "ac", "e", SUM), "e", NO_RELU
    ),
    "flatten": between(layer("Flatten", "c", "f"), "f"),
    "flatten apart": between(layer("Flatten", "y", "f"), "f", APART),
    "flatten of a convolution": between(layer("Flatten", "c", "f"), "f", ""),
    "flatten, rectified in place": between(layer("Flatten", "c", "f") + layer("ReLU", "f", "f", name="r"), "f"),
    "flatten of one reader of two": between(
        layer("Flatten", "c", "f") + layer("Flatten", "c", "g") + layer("Eltwise", "fg", "e"), "e"
    ),
    "reshape": between(layer("Reshape", "c", "f", "reshape_param { shape { dim: 0 dim: -1 } }"), "f"),
    "reshape, rectified in place": between(
        layer("Reshape", "c", "f", "reshape_param { shape { dim: 0 dim: -1 } }") + layer("ReLU", "f", "f", name="r"),
        "f"
    ),
    "reshape of one reader of two": between(
        layer("Reshape", "c", "f", "reshape_param { shape { dim: 0 dim: 2 dim: -1 } }") + layer("TanH", "c", "u")
        + layer("Reshape", "u", "g", "reshape_param { shape { dim: 0 dim: 2 dim: -1 } }") + layer("Eltwise", "fg", "e"),
        "e"
    ),
    "concat": between(layer("TanH", "c", "a") + layer("Concat", "ac", "e"), "e"),
    "concat of one": between(layer("Concat", "c", "e"), "e"),
    "concat of one apart": between(layer("Concat", "y", "e"), "e", APART),
    "concat of one of two readers": between(
        layer("Concat", "c", "a") + layer("TanH", "c", "b") + layer("Eltwise", "ab", "e"), "e"
    ),
    "slice into one": between(layer("Slice", "c", "e") + layer("ReLU", "e", "e", name="r"), "e"),
    "slice": between(
        'layer { name: "sl" type: "Slice" bottom: "c" top: "a" top: "b" }' + layer("Eltwise", "ab", "e", MAX), "e"
    ),
    "sum": between(layer("TanH", "c", "a") + layer("Eltwise", "ac", "e", SUM), "e"),
    "sum, rectified in place": between(
        layer("Convolution", "c", "a", CONVOLVED) + layer("Eltwise", "ac", "e", SUM)
        + layer("ReLU", "e", "e", name="r"),
        "e"
    ),
    "product": between(layer("TanH", "c", "a") + layer("Eltwise", "ac", "e", PROD), "e"),
    "maximum": between(layer("TanH", "c", "a") + layer("Eltwise", "ac", "e", MAX), "e"),
    "dropout in place": between(layer("Dropout", "c", "c"), "c"),
    "dropout in place behind one not rectified": between(layer("Dropout", "c", "c"), "c", NO_RELU),
    "dropout": between(layer("Dropout", "c", "e"), "e"),
    "relu again": between(layer("ReLU", "c", "c"), "c"),
    "sigmoid in place": between(layer("Sigmoid", "c", "c"), "c"),
    "prelu in place": between(layer("PReLU", "c", "c"), "c"),
    "power in place": between(layer("Power", "c", "c", "power_param { scale: 2 shift: 1 }"), "c"),
    "scaled by a blob": between(
        layer("Reduction", "c", "a", "reduction_param { axis: 1 operation: MEAN }")
        + layer("Scale", "ca", "e", "scale_param { axis: 0 }"), "e"
    ),
    "pooling": between(layer("Pooling", "c", "e", "pooling_param { kernel_size: 2 stride: 2 }"), "e"),
    "average": between(layer("Pooling", "c", "e", "pooling_param { pool: AVE global_pooling: true }"), "e"),
    "lrn": between(layer("LRN", "c", "e"), "e"),
    "lrn within": between(layer("LRN", "c", "e", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 }"), "e"),
    "mvn": between(layer("MVN", "c", "e"), "e"),
    "softmax": between(layer("Softmax", "c", "e"), "e"),
    "shared": between(layer("Convolution", "c", "a", SHARED) + layer("Convolution", "a", "b", SHARED), "b"),
    "shared, in branches": between(
        layer("Convolution", "c", "a", SHARED) + layer("Convolution", "c", "b", SHARED) + layer("Eltwise", "ab", "e"),
        "e"
    ),
    "two losses": between(
        layer("InnerProduct", "c", "q", "inner_product_param { num_output: 3 weight_filler { type: 'xavier' } }")
        + layer("SoftmaxWithLoss", "ql", "aux", "loss_weight: 0.3"), "c"
    ),
    "weights between": between(layer("TanH", "c", "e", "loss_weight: 0.01"), "e"),
    "outputs": between(layer("TanH", "c", "a") + layer("ReLU", "a", "b"), "c"),
    "outputs of the chain": between(layer("TanH", "d", "e"), "e", "") + APART.replace("BOTTOM", "c"),
    "silenced": between(layer("TanH", "c", "a") + 'layer { name: "q" type: "Silence" bottom: "a" }', "c"),
    "accuracy": between("", "c") + layer("Accuracy", ["ip", "l"], "acc"),
    "two chains": between(
        layer("Convolution", "c", "a", CONVOLVED) + CHAIN.replace("BOTTOM", "a").replace('name: "', 'name: "2'), "a"
    ),
    "stopped": between(layer("Convolution", "c", "a", f"propagate_down: false {CONVOLVED}"), "a"),
    "frozen": between(layer("Convolution", "c", "a", f"{FROZEN * 2} {CONVOLVED}"), "a"),
    "data": between("", "c", DATA.replace("STATISTICS", FROZEN * 3).replace("SCALE", "")),
    "data, statistics ask": between("", "c", DATA.replace("STATISTICS", "").replace("SCALE", "")),
    "data, statistics ask, apart": APART_DATA.replace("STATISTICS", "").replace("SCALE", ""),
    "data, apart": APART_DATA.replace("STATISTICS", FROZEN * 3).replace("SCALE", ""),
    "data, frozen scale": between("", "c", DATA.replace("STATISTICS", FROZEN * 3).replace("SCALE", FROZEN * 2)),
    "data, frozen scale, apart": APART_DATA.replace("STATISTICS", "").replace("SCALE", FROZEN * 2),
    "data, no scale": between("", "c", DATA.replace("STATISTICS", FROZEN * 3).partition(SCALE_FIRST)[0]),
    "forced": "force_backward: true " + between("", "c"),
}  # fmt: skip
Arrays = dict[str, NDArray[np.float32]]


def solver_of(folder: Path, net: str, keep: bool | None, more: str = "", type_: str = "SGD") -> Solver:
    (folder / "net").write_text(net)
    momentum = "momentum: 0.9" if type_ in ("SGD", "Nesterov", "Adam", "AdaDelta") else ""
    (folder / "solver").write_text(
        f'net: "{folder}/net" base_lr: 0.01 lr_policy: "fixed" {momentum} type: "{type_}" weight_decay: 0.01 '
        f'max_iter: 9 random_seed: 3 snapshot_prefix: "{folder}/s" {more}'
    )
    solver = caffe.get_solver(folder / "solver")
    solver.keep_blobs = keep
    return solver


def learned(solver: Solver) -> Arrays:
    """All that training leaves."""
    found = {
        f"{name} {i}": blob.data for name, blobs in solver.net.params.items() for i, blob in enumerate(blobs)
    }
    found |= {f"history {i}": blob.data for i, blob in enumerate(solver._updater.history)}
    return {key: array.copy() for key, array in found.items()}


def assert_close(found: Arrays, expected: Arrays, tolerance: float = 1e-5) -> None:
    """Of the largest numbers of all: some are rounding only, such as a bias before BatchNorm."""
    assert found.keys() == expected.keys()
    largest = max(float(np.abs(array).max()) for array in expected.values())
    for key, array in expected.items():
        assert np.isfinite(array).all()
        size = max(float(np.abs(array).max()), 1e-2 * largest)
        np.testing.assert_allclose(found[key], array, rtol=0, atol=tolerance * size, err_msg=key)


def numbers(net: caffe.Net) -> tuple[Arrays, dict[str, str]]:
    """What can be read of a net, and what is said where it cannot."""
    found, refused = {}, {}
    blobs = [
        *net.blobs.items(),
        *((f"{n} {i}", b) for n, each in net.params.items() for i, b in enumerate(each)),
    ]
    for name, blob in blobs:
        for part in ("data", "diff"):
            try:
                found[f"{part} {name}"] = getattr(blob, part).copy()
            except InputError as error:
                refused[f"{part} {name}"] = str(error)
    return found, refused


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "layer by layer"])
@pytest.mark.parametrize("name", NETS)
def test_nothing_is_learned_differently_and_nothing_wrong_is_shown(
    name: str, fused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mode._state, "fuses", fused)
    results = []
    for keep in (True, None, False):
        solver = solver_of(tmp_path, NETS[name], keep)
        solver.step(3)
        results.append((learned(solver), *numbers(solver.net)))
    (kept, right, none), (default, shown, nor_here), (let_go, rest, refused) = results
    assert not none and not nor_here
    assert_close(default, kept)
    assert_close(let_go, kept)
    assert_close(shown, right, 1e-4)
    assert_close(rest, {key: right[key] for key in rest}, 1e-4)
    names = [*solver.net.blobs, *solver.net.params]
    assert all(any(f" {name} " in said for name in names) for said in refused.values()), refused
    assert len(refused) > 3
    assert not any(f"data {each}" in refused for each in [*solver.net.outputs, "d", "l"])
    assert not any(key.startswith("data") and key.endswith((" 0", " 1", " 2")) for key in refused)
    solver.net.forward()
    assert not [key for key in numbers(solver.net)[1] if key.startswith("data")]
    solver.net.clear_param_diffs()
    solver.net.backward()
    assert not numbers(solver.net)[1]


EVERYTHING = NETS["reshape of one reader of two"].replace(
    ' name: "loss"', ' loss_weight: 0.5 name: "loss"'
) + layer("InnerProduct", "d", "z", "inner_product_param { num_output: 3 }")
TYPES = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]


@pytest.mark.parametrize("clip", ["", "clip_gradients: 0.5"])
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("type_", TYPES)
def test_all_rules_learn_the_same(type_: str, size: int, clip: str, tmp_path: Path) -> None:
    caffe.init_log(0)
    for display, regularization in (("display: 2", "L2"), ("", "L1")):
        more = f'iter_size: {size} {clip} {display} regularization_type: "{regularization}"'
        found, losses = [], []
        for keep in (True, False):
            solver = solver_of(tmp_path, EVERYTHING, keep, more, type_)
            solver.step(4)
            found.append(learned(solver))
            losses.append(float(solver.net.blobs["loss"].data))
        assert_close(found[1], found[0], 1e-6 if type_ in ("SGD", "Nesterov") else 1e-4)
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.parametrize("when", ["from the first", "later"])
@pytest.mark.parametrize("name", ["chain", "chain apart", "data", "sum, rectified in place", "flatten"])
def test_watched_layers_have_what_they_need(name: str, when: str, tmp_path: Path) -> None:
    seen: list[int] = []
    found = []
    for keep in (True, False):
        solver = solver_of(tmp_path, NETS[name], keep)
        if when == "later":
            solver.step(2)
        if not keep:
            solver.net.before_forward(seen.append)
        solver.step(2)
        found.append(learned(solver))
    assert seen
    assert_close(found[1], found[0])


def test_what_was_kept_of_an_earlier_pass_is_not_taken_for_that_of_the_last(tmp_path: Path) -> None:
    solver = solver_of(tmp_path, NETS["chain"], False)
    solver.net.forward()  # all at once, and kept
    solver.net.before_forward(lambda layer: None)
    solver.step(1)
    other = solver_of(tmp_path, NETS["chain"], True)
    other.net.forward()
    other.step(1)
    assert_close(learned(solver), learned(other))


def test_a_backward_pass_without_its_forward_pass(tmp_path: Path) -> None:
    for name in ("chain", "dropout", "lrn", "average"):
        solver = solver_of(tmp_path, NETS[name], False)
        solver.step(1)
        with pytest.raises(InputError, match=r"needs a forward pass before it|not kept"):
            solver.net.backward()


def test_callbacks_see_everything_by_default(tmp_path: Path) -> None:
    for name in ("chain apart", "data, statistics ask, apart", "sum, rectified in place", "flatten"):
        seen: list[tuple[Arrays, dict[str, str]]] = []
        solver = solver_of(tmp_path, NETS[name], None)
        solver.add_callback(lambda: None, partial(_see, solver.net, seen))
        solver.step(2)
        alone = solver_of(tmp_path, NETS[name], True)
        for found, refused in seen:
            alone.net.clear_param_diffs()
            alone.net.forward()
            alone.net.backward()
            assert not refused
            assert_close(found, numbers(alone.net)[0], 1e-4)
            alone.apply_update()


def _see(net: caffe.Net, seen: list[tuple[Arrays, dict[str, str]]]) -> None:
    seen.append(numbers(net))


def test_callbacks_may_find_gradients_gone_when_nothing_is_to_be_kept(tmp_path: Path) -> None:
    solver = solver_of(tmp_path, NETS["chain"], False)
    shown: list[float] = []
    solver.add_callback(lambda: None, lambda: shown.append(float(solver.net.blobs["loss"].data)))
    solver.step(2)
    assert len(shown) == 2 and all(np.isfinite(shown))
    with pytest.raises(InputError, match="the gradient of layer ip was not kept"):
        _ = solver.net.params["ip"][0].diff
