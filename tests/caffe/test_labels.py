"""Labels on a GPU, where a wrong one is not refused: the results are nan. (On the CPU: the tests of the losses.)"""

from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe import labels
from batchbrew.caffe.blob import Blob
from batchbrew.nets.shapes.registry import Refusal
from tests.caffe.layers.single_layer import compute, layer_case

SCORES = np.array([[0.0, 1, 2], [3, 1, 2]])


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all memory for a GPU's."""
    monkeypatch.setattr(labels, "_is_far", lambda tensor: True)


def blob(*numbers: float) -> Blob:
    made = Blob(len(numbers))
    made.data[...] = numbers
    return made


def test_fractions_are_cut_off() -> None:
    found = labels.read_labels(blob(0.9, -0.9, 2.5), "label", 3)
    assert (found.classes.tolist(), found.kept, found.kept_count()) == ([0, 0, 2], None, 3)


def test_what_is_ignored_has_class_0() -> None:
    found = labels.read_labels(blob(1, 255, 2), "label", 3, ignored=255)
    assert found.kept is not None
    assert (found.classes.tolist(), found.kept.tolist(), int(found.kept_count())) == (
        [1, 0, 2],
        [True, False, True],
        2,
    )


def test_the_first_wrong_label_is_named() -> None:
    with pytest.raises(
        Refusal, match=r"finds label -3 in bottom label, but knows 3 classes, 0 to 2: correct"
    ):
        labels.read_labels(blob(1, -3, 7), "label", 3)


@pytest.mark.parametrize("fields", ["SoftmaxWithLoss", "HingeLoss", "MultinomialLogisticLoss"])
@pytest.mark.parametrize("wrong", [3, -1, np.nan, 1e30])
def test_far_away_a_wrong_label_makes_losses_nan(
    fields: str, wrong: float, far: None, tmp_path: Path
) -> None:
    found = compute(layer_case(f'type: "{fields}"', SCORES, [1, wrong], tops=["loss"]), tmp_path / "case")
    assert np.isnan(found["0|loss"])
    assert np.isnan(found["0|diff|x0"]).any()


def test_far_away_a_wrong_label_makes_an_infogain_loss_nan(far: None, tmp_path: Path) -> None:
    case = layer_case('type: "InfogainLoss"', SCORES, [1, 3], np.eye(3), tops=["loss"], learned=0)
    found = compute(case, tmp_path / "case")
    assert np.isnan(found["0|loss"])
    assert np.isnan(found["0|diff|b"]).all()


def test_far_away_a_wrong_label_makes_accuracies_nan(far: None, tmp_path: Path) -> None:
    found = compute(
        layer_case('type: "Accuracy"', SCORES, [1, 3], tops=["y", "each"], backward=False), tmp_path / "case"
    )
    assert np.isnan(found["0|data|y"])
    assert np.isnan(found["0|data|each"]).all()


@pytest.mark.parametrize("ignored", ["", "loss_param { ignore_label: 255 }"])
def test_far_away_right_labels_change_nothing(
    ignored: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case = layer_case(f'type: "SoftmaxWithLoss" {ignored}', SCORES, [1, 255 if ignored else 2], tops=["loss"])
    near = compute(case, tmp_path / "near")
    monkeypatch.setattr(labels, "_is_far", lambda tensor: True)
    found = compute(case, tmp_path / "far")
    for key, array in near.items():
        np.testing.assert_array_equal(found[key], array)
