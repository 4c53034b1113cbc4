"""Scale and Bias: where factors lie, what is learned, in place, and what gradients add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.case import Case
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

RANDOM = np.random.default_rng(6)
X = [[1.0, 2], [3, 4]]
DY = [[1.0, 10.0], [100.0, 1000.0]]
SPANS = {  # of a bottom of 2×3×4×2: axis and num_axes, and the shape of the factors
    "": (3,),
    "axis: 0 num_axes: 1": (2,),
    "axis: 0 num_axes: -1": (2, 3, 4, 2),
    "axis: 1 num_axes: 2": (3, 4),
    "axis: -1": (2,),
    "axis: 2 num_axes: 0": (),
}


def normal(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


def twice(case: Case) -> Case:
    """The same pass again, without forgetting the gradients: Caffe's iter_size."""
    return replace(case, passes=[*case.passes, replace(case.passes[0], clear=False)])


def learned(kind: str, fields: str, batch: int = 2, in_place: bool = False) -> Case:
    x = normal(batch, 3, 4, 2)
    return twice(layer_case(
        f'type: "{kind}" {kind.lower()}_param {{ {fields} }}', x, in_place=in_place,
        diffs={"x0" if in_place else "y": normal(*x.shape)},
        parameters={} if batch != 2 else _parameters(kind, fields),
    ))  # fmt: skip


def _parameters(kind: str, fields: str) -> dict[int, Array]:
    shape = SPANS[fields.replace("bias_term: true", "").strip()]
    return {index: normal(*shape) for index in range(1 + ("bias_term" in fields))}


def given(kind: str, fields: str, factors: Sequence[int], in_place: bool) -> Case:
    """The factors are the second bottom."""
    top = "x0" if in_place else "y"
    return twice(layer_case(
        f'type: "{kind}" {kind.lower()}_param {{ {fields} }}', normal(2, 3, 4, 2), normal(*factors), in_place=in_place,
        diffs={top: normal(2, 3, 4, 2)},
    ))  # fmt: skip


AGREED = [
    *(
        example(f"{kind} {fields}{' in place' * in_place}", learned(kind, fields, in_place=in_place))
        for kind, more in (("Scale", ""), ("Scale", " bias_term: true"), ("Bias", ""))
        for fields in [f"{span}{more}" for span in SPANS]
        for in_place in (False, True)
    ),
    *(
        example(
            f"{kind} {fields} by a blob of {factors}{' in place' * in_place}", given(kind, fields, factors, in_place)
        )
        for kind in ("Scale", "Bias")
        for fields, factors in (
            ("axis: 0", (2,)), ("axis: 0", (2, 3, 4, 2)), ("axis: 1", (3, 4)), ("axis: 3", (2,)), ("", ()),
        )
        for in_place in (False, True)
    ),
    example("Scale by a blob, with a shift", given("Scale", "bias_term: true", (3,), in_place=False)),
    *(
        example(f"{kind} {fields} of one image", learned(kind, fields, batch=1))
        for kind in ("Scale", "Bias") for fields in ("", "num_axes: 0", "axis: 0 num_axes: -1", "axis: -1")
    ),
    example("Scale by a single number, whatever the axis", given("Scale", "axis: 7", (), in_place=False)),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


@pytest.mark.parametrize("in_place", [False, True])
def test_scale_worked_by_hand(in_place: bool, tmp_path: Path) -> None:
    top = "x0" if in_place else "y"
    case = layer_case(
        'type: "Scale" scale_param { bias_term: true }', X, in_place=in_place, diffs={top: DY},
        parameters={0: [2, -1], 1: [0.5, 0]},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found[f"0|data|{top}"].tolist() == [[2.5, -2], [6.5, -4]]
    assert found["0|diff|x0"].tolist() == [[2, -10], [200, -1000]]
    assert found["0|gradient|tested|0"].tolist() == [1 + 300, 20 + 4000]
    assert found["0|gradient|tested|1"].tolist() == [101, 1010]


def test_bias_worked_by_hand(tmp_path: Path) -> None:
    found = compute(layer_case('type: "Bias"', X, [5.0, 7], diffs={"y": DY}), tmp_path / "case")
    assert found["0|data|y"].tolist() == [[6, 9], [8, 11]]
    assert found["0|diff|x0"].tolist() == DY
    assert found["0|diff|x1"].tolist() == [101, 1010]


def test_what_is_filled_in_at_first(tmp_path: Path) -> None:
    net = build(layer_case('type: "Scale" scale_param { bias_term: true }', X), tmp_path / "scale")
    assert [blob.data.tolist() for blob in net.params["tested"]] == [[1, 1], [0, 0]]
    fields = 'type: "Scale" scale_param { bias_term: true filler { value: 3 } bias_filler { value: 4 } }'
    net = build(layer_case(fields, X), tmp_path / "filled")
    assert [blob.data.tolist() for blob in net.params["tested"]] == [[3, 3], [4, 4]]
    net = build(layer_case('type: "Scale" scale_param { bias_term: true }', X, [1.0, 2]), tmp_path / "given")
    assert [blob.data.tolist() for blob in net.params["tested"]] == [[0, 0]]
    net = build(layer_case('type: "Bias" bias_param { filler { value: 2 } }', X), tmp_path / "bias")
    assert [blob.data.tolist() for blob in net.params["tested"]] == [[2, 2]]


def test_gradients_of_several_images_add_up_and_of_one_do_not(tmp_path: Path) -> None:
    """Caffe's scale_layer.cpp writes over what is there where there is one image; of its shift it does not."""
    for batch, expected in ((2, 2), (1, 1)):
        found = compute(learned("Scale", "bias_term: true", batch), tmp_path / f"{batch}")
        np.testing.assert_allclose(
            found["1|gradient|tested|0"], expected * found["0|gradient|tested|0"], rtol=1e-6
        )
        np.testing.assert_allclose(found["1|gradient|tested|1"], 2 * found["0|gradient|tested|1"], rtol=1e-6)


def test_scale_in_place_keeps_x_though_somebody_looks_at_the_blob(tmp_path: Path) -> None:
    """The view that is held shows y after the forward pass; what was kept must not."""
    net = build(layer_case('type: "Scale"', [[4.0]], in_place=True, parameters={0: [3]}), tmp_path / "case")
    view = net.blobs["x0"].data
    view[...] = 4
    net.forward()
    assert view == 12
    net.backward(x0=np.array([[1]], np.float32))
    assert net.params["tested"][0].diff == 4


def test_a_gradient_for_which_nothing_is_summed_is_a_tensor_of_its_own(tmp_path: Path) -> None:
    fields = 'type: "Scale" scale_param { axis: 0 num_axes: -1 bias_term: true }'
    net = build(layer_case(fields, [[1.0]]), tmp_path / "case")
    net.forward()
    net.backward(y=np.array([[5]], np.float32))
    net.blobs["y"].diff[...] = 6
    assert net.params["tested"][1].diff == 5


def test_bias_passes_on_a_gradient_of_its_own(tmp_path: Path) -> None:
    net = build(layer_case('type: "Bias"', [[1.0]]), tmp_path / "case")
    net.forward()
    net.backward(y=np.array([[5]], np.float32))
    net.blobs["y"].diff[...] = 6
    assert net.blobs["x0"].diff == 5


@pytest.mark.parametrize(
    ("fields", "bottoms", "message"),
    [
        ('type: "Scale" scale_param { axis: 1 num_axes: 2 }', [X], "axis 1 and num_axes 2 reach beyond its bottom"),
        ('type: "Scale" scale_param { num_axes: -2 }', [X], "num_axes must be -1 or more, not -2"),
        ('type: "Bias" bias_param { axis: 2 }', [X], "axis 2 is not one of the 2 axes"),
        ('type: "Scale"', [X, [1.0, 2, 3]], "bottom x1, 3, does not fit x0, 2×2, from axis 1 on"),
        ('type: "Scale" scale_param { filler { type: "gauss" } }', [X], "has a filler of type 'gauss'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    fields: str, bottoms: list[list[float]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LayerError, match=r"layer tested \((Scale|Bias)\): " + message):
        build(layer_case(fields, *bottoms), tmp_path / "case")
