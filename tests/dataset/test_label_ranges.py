import pytest

from batchbrew.dataset.label_ranges import LabelRanges, in_ranges
from batchbrew.errors import InputError


def test_numbers_and_ranges_in_any_order() -> None:
    labels = LabelRanges("7, 1,3-5,4-6")
    assert [label for label in range(10) if label in labels] == [1, 3, 4, 5, 6, 7]
    assert [labels.place(label) for label in (1, 3, 7)] == [0, 1, 5]
    assert list(labels.below(6)) == [1, 3, 4, 5]
    assert labels.without_any([3, 9]) == ["1"]
    assert LabelRanges("2,5-9").without_any([1, 10]) == ["2", "5-9"]


def test_ranges_of_any_length_cost_nothing() -> None:
    labels = LabelRanges("5-2147483647")
    assert (2**31 - 1 in labels, 4 in labels, labels.place(2**31 - 1)) == (True, False, 2**31 - 6)


@pytest.mark.parametrize("text", ["", "1,", "a", "3-1", "-1", "1-", "2147483648", "1--2", "1.5", "٣"])
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="write them as in 1,5-9"):
        LabelRanges(text)


def test_labels_in_ranges() -> None:
    assert in_ranges([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
    assert in_ranges([]) == ""
