"""BatchNorm: its statistics pass after pass, both kinds of gradient, and inputs on which float arithmetic is poor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers.normalising import apply, statistics
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt
from tests.caffe.layers.single_layer import EXAMPLES, assert_as_in_caffe, build, compute, example, layer_case

RANDOM = np.random.default_rng(5)
SHAPES = {2: (6, 3), 3: (4, 3, 5), 4: (4, 3, 2, 5), 5: (3, 3, 2, 2, 2)}
STATISTICS = {0: [10.0, -20, 0.5], 1: [5.0, 40, 2], 2: [7.5]}  # sums of many batches


def normal(shape: Sequence[int], mean: float = 0, deviation: float = 1) -> Array:
    return RANDOM.normal(mean, deviation, shape).astype(np.float32)


def batch_norm(
    shape: Sequence[int],
    fields: str = "",
    phase: int = pb.TRAIN,
    in_place: bool = False,
    parameters: Mapping[int, Sequence[float]] | None = None,
    passes: int = 1,
    mean: float = 0,
    deviation: float = 1,
) -> Case:
    """Some passes, each on numbers of its own, with random gradients."""
    top = "x0" if in_place else "y"
    runs = [Pass({"x0": normal(shape, mean, deviation)}, {top: normal(shape)}) for _ in range(passes)]
    case = layer_case(
        f'type: "BatchNorm" batch_norm_param {{ {fields} }}', runs[0].data["x0"], in_place=in_place, phase=phase,
        parameters=parameters,
    )  # fmt: skip
    return replace(case, passes=runs)


# Two things decide at once whether a BatchNorm on the data gives the data's gradient: there is no param that says that
# nothing learns, and Caffe's layer does not ask whether the gradient is wanted.
UNASKED = Case(
    "net", 1, 1, parse_prototxt(
        'layer { name: "in" type: "Input" top: "x0" input_param { shape { dim: 5 dim: 3 } } }'
        'layer { name: "norm" type: "BatchNorm" bottom: "x0" top: "y" }'
        'layer { name: "tested" type: "Scale" bottom: "y" top: "z" scale_param { axis: 0 num_axes: -1 } '
        "loss_weight: 1 }",
        pb.NetParameter,
    ), pb.TRAIN, [Pass({"x0": normal((5, 3))})], parameters={("tested", 0): normal((5, 3))},
)  # fmt: skip

AGREED = [
    *(
        example(f"BatchNorm of {axes} axes{' in place' * in_place}", batch_norm(shape, in_place=in_place, passes=3))
        for axes, shape in SHAPES.items() for in_place in (False, True)
    ),
    *(
        example(f"BatchNorm in phase {phase} with {told or 'nothing told'}{' in place' * in_place}", batch_norm(
            SHAPES[4], told, phase, in_place, STATISTICS, passes=2,
        ))
        for phase in (pb.TRAIN, pb.TEST)
        for told in ("", "use_global_stats: true", "use_global_stats: false")
        for in_place in (False, True)
    ),
    example("BatchNorm of other settings", batch_norm(
        SHAPES[4], "eps: 0.01 moving_average_fraction: 0.5", parameters=STATISTICS, passes=4,
    )),
    example("BatchNorm before any batch", batch_norm(SHAPES[4], phase=pb.TEST)),
    example("BatchNorm with a factor of zero", batch_norm(
        SHAPES[4], phase=pb.TEST, parameters={0: [1, 2, 3], 1: [4, 5, 6], 2: [0]},
    )),
    example("BatchNorm of one number a channel", batch_norm((1, 3), passes=2)),
    example("BatchNorm of one image", batch_norm((1, 3, 4, 5), passes=2)),
    example("BatchNorm of colours", batch_norm((4, 3, 9, 9), mean=110, deviation=60, passes=2)),
    example("BatchNorm of much", batch_norm((8, 3, 40, 40), mean=3, deviation=2)),
    example("BatchNorm on the data", UNASKED),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_the_data_gets_a_gradient_though_nobody_asks(tmp_path: Path) -> None:
    assert np.abs(compute(UNASKED, tmp_path / "case")["0|diff|x0"]).max() > 0.1


def test_two_batches_worked_by_hand(tmp_path: Path) -> None:
    """Means 1 and 6, variances 1 and 4, which are kept as 2 and 8, as there are two numbers."""
    case = layer_case(
        'type: "BatchNorm" batch_norm_param { moving_average_fraction: 0.5 eps: 0 }', [[0.0], [2.0]]
    )
    again = Pass({"x0": np.array([[4], [8]], np.float32)}, {})
    found = compute(replace(case, passes=[*case.passes, again]), tmp_path / "case")
    np.testing.assert_allclose(found["0|data|y"], [[-1], [1]], rtol=1e-6)
    assert [found[f"0|parameter|tested|{index}"].tolist() for index in range(3)] == [[1], [2], [1]]
    np.testing.assert_allclose(found["1|data|y"], [[-1], [1]], rtol=1e-6)
    assert [found[f"1|parameter|tested|{index}"].tolist() for index in range(3)] == [[6.5], [9], [1.5]]


def test_collected_statistics_worked_by_hand(tmp_path: Path) -> None:
    """Mean 3/2 and variance 8/2 make of 5.5 a 2; a gradient is halved."""
    case = layer_case(
        'type: "BatchNorm" batch_norm_param { eps: 0 }', [[5.5]], phase=pb.TEST, diffs={"y": [[3.0]]},
        parameters={0: [3], 1: [8], 2: [2]},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"] == 2 and found["0|diff|x0"] == 1.5
    assert found["0|parameter|tested|2"] == 2, "in the TEST phase nothing is collected"


@pytest.mark.parametrize("in_place", [False, True])
def test_the_gradient_is_that_of_the_formula(in_place: bool, tmp_path: Path) -> None:
    case = batch_norm((5, 2, 3, 3), in_place=in_place, mean=2)
    found = compute(case, tmp_path / "case")
    x = torch.tensor(case.passes[0].data["x0"], dtype=torch.float64, requires_grad=True)
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    y = (x - mean) / (variance + 1e-5).sqrt()
    y.backward(torch.tensor(case.passes[0].diffs["x0" if in_place else "y"], dtype=torch.float64))  # type: ignore[no-untyped-call]
    assert x.grad is not None
    np.testing.assert_allclose(found["0|diff|x0"], x.grad.numpy(), atol=1e-6)


CHAIN = """
layer {{ name: "n" type: "BatchNorm" bottom: "x" top: "{0}" }}
layer {{ name: "s" type: "Scale" bottom: "{0}" top: "{1}" scale_param {{ bias_term: true filler {{ value: -2 }} }} }}
layer {{ name: "r" type: "ReLU" bottom: "{1}" top: "{2}" }}
"""


@pytest.mark.parametrize("held", [False, True])
def test_a_chain_in_place_has_the_gradients_of_one_that_is_not(held: bool, tmp_path: Path) -> None:
    """Also where a program holds a view of the blob that all of them write to."""
    x, gradient = normal((4, 3, 5, 5)), normal((4, 3, 5, 5))
    found = []
    for names in (("x", "x", "x"), ("a", "b", "c")):
        text = (
            'force_backward: true layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 5 '
            "dim: 5 } } }" + CHAIN.format(*names)
        )
        case = Case("chain", 1, 1, parse_prototxt(text, pb.NetParameter), pb.TRAIN, [])
        net = build(case, tmp_path / names[0])
        views = [blob.data for blob in net.blobs.values()] if held else []
        net.blobs["x"].data[...] = x
        net._forward(0, 3)
        net.blobs[names[2]].diff[...] = gradient
        net.backward()
        found.append([net.blobs["x"].diff.copy(), *(blob.diff.copy() for blob in net.params["s"])])
        del views
    for in_place, apart in zip(*found, strict=True):
        np.testing.assert_array_equal(in_place, apart)


def test_statistics_go_on_from_a_caffemodel(tmp_path: Path) -> None:
    case = batch_norm(SHAPES[4], parameters=STATISTICS)
    batches = [normal(SHAPES[4]) for _ in range(4)]
    whole, first, second = (build(case, tmp_path / name) for name in ("whole", "first", "second"))
    for index, batch in enumerate(batches):
        if index == 2:
            first.save(tmp_path / "half.caffemodel")
            second.copy_from(tmp_path / "half.caffemodel")
        for net in (whole, first if index < 2 else second):
            net.blobs["x0"].data[...] = batch
            net.forward()
    for mine, theirs in zip(second.params["tested"], whole.params["tested"], strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data)


# Poor arithmetic


POOR = example(
    "BatchNorm of numbers that differ in their last bits", batch_norm((16, 3, 8, 8), mean=1e4, deviation=1e-2)
)
CONSTANT = example("BatchNorm of constants", replace(
    batch_norm((8, 3, 4, 4)), passes=[Pass({"x0": np.full((8, 3, 4, 4), 7.3, np.float32)}, {}, backward=False)],
))  # fmt: skip


def exact(x: Array) -> Array:
    wide = x.astype(np.float64)
    axes = (0, *range(2, x.ndim))
    mean, variance = wide.mean(axes, keepdims=True), wide.var(axes, keepdims=True)
    return np.asarray((wide - mean) / np.sqrt(variance + 1e-5))


def test_where_caffe_is_inexact_ours_is_not_worse(
    caffe_answers: Mapping[str, Result], tmp_path: Path
) -> None:
    """Numbers around 10,000 are 0.001 apart, a tenth of their deviation: no mean of them is exact in floats."""
    case = EXAMPLES[POOR]
    truth = exact(case.passes[0].data["x0"])
    theirs = np.abs(caffe_answers[POOR].arrays["0|data|y"] - truth).max()
    ours = np.abs(compute(case, tmp_path / "case")["0|data|y"] - truth).max()
    assert ours <= max(theirs, 0.06)


def test_constants_become_zeros_but_for_the_rounding_of_their_mean(
    caffe_answers: Mapping[str, Result], tmp_path: Path
) -> None:
    last_bit = 1.01 * np.spacing(np.float32(7.3)) / np.sqrt(1e-5)
    theirs, ours = caffe_answers[CONSTANT].arrays, compute(EXAMPLES[CONSTANT], tmp_path / "case")
    assert np.abs(theirs["0|data|y"]).max() <= last_bit and np.abs(ours["0|data|y"]).max() <= last_bit
    np.testing.assert_allclose(ours["0|parameter|tested|0"], theirs["0|parameter|tested|0"], rtol=1e-6)
    assert np.abs(ours["0|parameter|tested|1"]).max() < 1e-11


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("mean", "deviation", "tolerance"), [(0, 1, 2e-6), (100, 30, 2e-6), (1e3, 1, 2e-4)])
def test_sums_of_many_numbers_are_exact(
    layout: torch.memory_format, mean: float, deviation: float, tolerance: float
) -> None:
    """Adding 50,000 floats one by one, as PyTorch's kernel does in channels_last, is off by 1e-5 and more.

    At a mean of a thousand deviations the mean's own last bit is 1e-4 of one.
    """
    x = torch.tensor(normal((16, 4, 56, 56), mean, deviation)).to(memory_format=layout)
    means, variances = statistics(x)
    numbers = apply(x, means, (variances + 1e-5).rsqrt(), None, None, False)
    assert numbers.is_contiguous(memory_format=layout)
    np.testing.assert_allclose(numbers.numpy(), exact(x.numpy()), atol=tolerance)
    np.testing.assert_allclose(means, x.double().mean((0, 2, 3)), rtol=2e-7, atol=1e-7)
    np.testing.assert_allclose(variances, x.double().var((0, 2, 3), correction=0), rtol=1e-6)


# What a solver and a user are told


def test_solvers_leave_the_statistics_alone(tmp_path: Path) -> None:
    net = build(batch_norm((2, 3)), tmp_path / "case")
    assert [learnable.lr_mult for learnable in net.learnable_params] == [0, 0, 0]
    assert [param.lr_mult for param in net.to_param().layer[-1].param] == [0, 0, 0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("param { lr_mult: 1 }", r"layer tested \(BatchNorm\): collects statistics.*lr_mult: 0"),
        ("batch_norm_param { scale_bias: true }", r"layer tested \(BatchNorm\): has scale_bias.*Scale layer"),
        ("batch_norm_param { bias_filler { value: 1 } }", r"layer tested \(BatchNorm\): has scale_bias.*Scale layer"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(fields: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=message):
        build(layer_case(f'type: "BatchNorm" {fields}', [[1.0, 2.0]]), tmp_path / "case")


def test_one_axis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        LayerError, match=r"layer tested \(BatchNorm\): takes a blob with an axis of channels"
    ):
        build(layer_case('type: "BatchNorm"', [1.0, 2.0]), tmp_path / "case")
