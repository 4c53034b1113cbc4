"""Crop, Filter and BatchReindex: what they pick, and gradients that find back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

RANDOM = np.random.default_rng(13)
ITEMS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def normal(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


def weighted(fields: str, *bottoms: ArrayLike, tops: Sequence[str] = ("y",), learned: int = 0) -> Case:
    """A layer whose tops are losses, weighted 1, 2, ..., and of which one bottom comes from a layer that learns.

    Selectors and indices have no gradient, for which force_backward would ask.
    """
    case = layer_case(fields, *bottoms, tops=tops, learned=learned)
    case.net.layer[-1].loss_weight.extend(range(1, 1 + len(tops)))
    return case


def filtered(chosen: ArrayLike, *items: ArrayLike, learned: int = 0) -> Case:
    tops = [f"y{index}" for index in range(len(items))]
    return weighted('type: "Filter"', *items, chosen, tops=tops, learned=learned)


def another(case: Case, chosen: ArrayLike) -> Case:
    first = case.passes[0]
    data = {**first.data, f"x{len(first.data) - 1}": np.asarray(chosen, np.float32)}
    return replace(case, passes=[*case.passes, Pass(data)])


AGREED = [
    *(
        example(f"Crop {fields} to {reference}", layer_case(
            f'type: "Crop" crop_param {{ {fields} }}', normal(3, 4, 5, 6), normal(*reference),
            diffs={"y": normal(*top)},
        ))
        for fields, reference, top in (
            ("", (1, 1, 2, 3), (3, 4, 2, 3)),
            ("offset: 2", (3, 4, 3, 4), (3, 4, 3, 4)),
            ("axis: 1 offset: 1 offset: 0 offset: 2", (9, 3, 4, 1), (3, 3, 4, 1)),
            ("axis: 0", (2, 2, 2, 2), (2, 2, 2, 2)),
            ("axis: -1 offset: 5", (3, 4, 5, 1), (3, 4, 5, 1)),
        )
    ),
    *(
        example(f"Filter with the gradient of bottom {learned}", filtered(
            [0, 1, 0, -0.5], normal(4, 2), normal(4), normal(4, 2, 3), learned=learned,
        ))
        for learned in range(3)
    ),
    example("Filter that takes fewer, then more", another(
        another(filtered([1, 1, 0], normal(3, 2)), [0, 0, 1]), [1, 1, 1]
    )),
    example("Filter that takes none", replace(
        filtered([0, 0, 0], normal(3, 2)),
        passes=[Pass({"x0": normal(3, 2), "x1": np.zeros(3, np.float32)}, backward=False)],
    )),  # going backward Caffe divides by zero and ends
    *(
        example(f"BatchReindex by {indices}", weighted('type: "BatchReindex"', normal(4, 2, 3), indices))
        for indices in ([0.0, 1, 2, 3], [3.0, 3, 0, 3, 1], [2.9])
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_crop(tmp_path: Path) -> None:
    fields = 'type: "Crop" crop_param { axis: 1 offset: 1 }'
    found = compute(
        layer_case(fields, [[1.0, 2, 3, 4]], np.zeros((1, 2)), diffs={"y": [[5, 6]]}), tmp_path / "case"
    )
    assert found["0|data|y"].tolist() == [[2, 3]]
    assert found["0|diff|x0"].tolist() == [[0, 5, 6, 0]]


def test_filter(tmp_path: Path) -> None:
    found = compute(filtered([1, 0, 2], ITEMS, ITEMS, learned=1), tmp_path / "case")
    assert found["0|data|y0"].tolist() == [[1, 2], [5, 6]]
    assert found["0|diff|b"].tolist() == [[2, 2], [0, 0], [2, 2]]


def test_a_filter_expects_all_before_it_has_seen_any(tmp_path: Path) -> None:
    net = build(filtered([0, 0, 0], ITEMS), tmp_path / "case")
    assert net.blobs["y0"].shape == (3, 2)
    net.forward()
    assert net.blobs["y0"].shape == (0, 2)


def test_a_filter_that_takes_none_has_a_gradient_of_zeros(tmp_path: Path) -> None:
    found = compute(filtered([0, 0, 0], ITEMS), tmp_path / "case")
    assert found["0|diff|b"].tolist() == [[0, 0], [0, 0], [0, 0]]


def test_batch_reindex_adds_up_the_gradients_of_copies(tmp_path: Path) -> None:
    found = compute(weighted('type: "BatchReindex"', ITEMS, [2.0, 0, 2]), tmp_path / "case")
    assert found["0|data|y"].tolist() == [[5, 6], [1, 2], [5, 6]]
    assert found["0|diff|b"].tolist() == [[1, 1], [0, 0], [2, 2]]


@pytest.mark.parametrize("wrong", [3.0, -0.5, float("nan")])
def test_indices_of_no_item_are_refused(wrong: float, tmp_path: Path) -> None:
    message = rf"layer tested \(BatchReindex\): has {wrong:g} among its indices, x1: they must be from 0 to 2"
    with pytest.raises(LayerError, match=message):
        compute(weighted('type: "BatchReindex"', ITEMS, [0, wrong]), tmp_path / "case")


@pytest.mark.parametrize("kind", ["Filter", "BatchReindex"])
def test_what_selects_has_no_gradient(kind: str, tmp_path: Path) -> None:
    with pytest.raises(
        LayerError, match=rf"layer tested \({kind}\): was asked for the gradient of x1.*force_backward"
    ):
        compute(layer_case(f'type: "{kind}"', ITEMS, [1.0, 1, 1]), tmp_path / "case")


@pytest.mark.parametrize(
    ("fields", "bottoms", "message"),
    [
        ('type: "Crop" crop_param { axis: 1 offset: 3 }', [(2, 4), (2, 2)], "cannot cut 2 from offset 3 on"),
        ('type: "Crop" crop_param { axis: 1 offset: 1 offset: 1 }', [(2, 4), (2, 2)], "has 2 values of offset"),
        ('type: "Filter"', [(2, 4), (3,)], "bottom x0 is 2×4, but selected from are 3 items"),
        ('type: "Filter"', [(2, 4), (2, 2)], "bottom x1 must be one number for each item, not 2×2"),
        ('type: "BatchReindex"', [(2, 4), (2, 1)], "bottom x1 must have one axis, not 2×1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    fields: str, bottoms: list[tuple[int, ...]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LayerError, match=r"layer tested \((Crop|Filter|BatchReindex)\): " + message):
        build(layer_case(fields, *map(np.zeros, bottoms)), tmp_path / "case")
