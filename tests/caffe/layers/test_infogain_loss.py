"""InfogainLoss: the matrix as a bottom and as a file, ignored labels, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.case import Case
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto.blobs import array_blob
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

DRAWN = np.random.default_rng(4)
SCORES = DRAWN.normal(0, 2, (3, 4, 2, 3)).astype(np.float32)
LABELS = DRAWN.integers(0, 4, (3, 2, 3)).astype(np.float32)
MATRIX = DRAWN.uniform(0.1, 2, (4, 4)).astype(np.float32)
FILE = {"h.binaryproto": array_blob(MATRIX).SerializeToString()}
IDENTITY = np.eye(4, dtype=np.float32)


def with_bottom(
    parameter: str = "", scores: Array = SCORES, labels: Array = LABELS, matrix: Array = MATRIX
) -> Case:
    fields = f'type: "InfogainLoss" loss_param {{ {parameter} }}'
    return layer_case(fields, scores, labels, matrix, tops=["loss"], learned=0, diffs={"loss": 0.7})


def with_file(parameter: str = "", files: Mapping[str, bytes] = FILE) -> Case:
    fields = f'type: "InfogainLoss" infogain_loss_param {{ source: "../h.binaryproto" {parameter} }}'
    return layer_case(fields, SCORES, LABELS, tops=["loss"], files=files)


AGREED = [
    *(
        example(f"infogain {mode} {ignored}", with_bottom(f"{mode} {ignored}"))
        for mode in ("", "normalization: FULL", "normalization: BATCH_SIZE", "normalization: NONE")
        for ignored in ("", "ignore_label: 1", "ignore_label: -1")
    ),
    example("infogain, nothing counts", with_bottom("ignore_label: 2", labels=np.full_like(LABELS, 2))),
    example("infogain far out", with_bottom(scores=SCORES * 100)),
    example("infogain from a file", with_file()),
    example("infogain along the last axis", layer_case(
        'type: "InfogainLoss" infogain_loss_param { axis: -1 }',
        SCORES, DRAWN.integers(0, 3, (3, 4, 2)), MATRIX[:3, :3], tops=["loss"], learned=0,
    )),
    example("infogain though a Softmax would go along another axis", layer_case(
        'type: "InfogainLoss" softmax_param { axis: 2 }', SCORES, LABELS, MATRIX, tops=["loss"], learned=0,
    )),
    example("infogain with its probabilities", layer_case(
        'type: "InfogainLoss" loss_weight: 1 loss_weight: 0', SCORES, LABELS, MATRIX, tops=["loss", "p"], learned=0,
    )),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_with_the_identity_it_is_a_softmax_loss(tmp_path: Path) -> None:
    fields = 'type: "InfogainLoss"'
    case = layer_case(fields, np.zeros((2, 4)), [1, 3], IDENTITY, tops=["loss"], learned=0)
    found = compute(case, tmp_path / "case")
    assert found["0|loss"] == pytest.approx(np.log(4))
    np.testing.assert_allclose(found["0|diff|b"] * 8, [[1, -3, 1, 1], [1, 1, 1, -3]], rtol=1e-6)


def test_a_row_of_the_matrix_is_the_labels(tmp_path: Path) -> None:
    """Label 1 costs 2·log(1/p) of class 0: the gradient is p·2 - (2, 0)."""
    case = layer_case('type: "InfogainLoss"', [[0, 0]], [1], [[0, 0], [2, 0]], tops=["loss"], learned=0)
    found = compute(case, tmp_path / "case")
    assert found["0|loss"] == pytest.approx(2 * np.log(2))
    np.testing.assert_allclose(found["0|diff|b"], [[-1, 1]], rtol=1e-6)


def test_the_matrix_has_no_gradient(tmp_path: Path) -> None:
    case = layer_case('type: "InfogainLoss"', SCORES, LABELS, MATRIX, tops=["loss"], learned=2)
    with pytest.raises(
        LayerError, match=r"layer tested \(InfogainLoss\): cannot backpropagate to label inputs: bottom b"
    ):
        compute(case, tmp_path / "case")


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, r"layer tested \(InfogainLoss\): has no infogain matrix: \.\./h\.binaryproto .+"),
        ({"h.binaryproto": b"name: 'net'"}, r"layer tested \(InfogainLoss\): has no infogain matrix: \.\./h\..+"),
        (
            {"h.binaryproto": array_blob(np.ones((3, 3))).SerializeToString()},
            r"layer tested \(InfogainLoss\): has 9 numbers in \.\./h\.binaryproto: for 4 classes it must hold 16",
        ),
    ],
)  # fmt: skip
def test_files_without_the_matrix_are_refused(files: dict[str, bytes], text: str, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=f"^{text}$"):
        compute(with_file(files=files), tmp_path / "case")


def test_a_label_that_is_no_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(InfogainLoss\): finds label 4 in bottom x1"):
        compute(with_bottom(labels=LABELS + 4 * (LABELS == 0)), tmp_path / "case")
