from dataclasses import replace

import pytest

from batchbrew.dataset.combining import added_up, description_of_set
from batchbrew.dataset.description import Description
from batchbrew.dataset.pixel_sums import PixelSums

ONE = Description(
    images=2, classes=2, label_counts={0: 1, 1: 1}, class_names=None, short_side=4, quality=95, seed=0, unreadable=[],
    total_bytes=10, sha256="x", version="1", kinds={"PNG": 1, "JPEG": 1}, source_sizes={"4x8": 1, "other": 1},
    source_short_sides={"128-191": 1, "0-63": 1}, odd={"CMYK": {"count": 1, "images": ["a"]}},
    pixel_sums=PixelSums(4, [4], [4]).to_json(),
)  # fmt: skip
OTHER = replace(
    ONE, label_counts={1: 2}, kinds={"PNG": 2}, source_sizes={"8x4": 3}, source_short_sides={"64-127": 2}, seed=1,
    pixel_sums=PixelSums(4, [12], [36]).to_json(), version="2",
)  # fmt: skip


def test_counts_are_added_and_in_the_order_of_a_build() -> None:
    found = added_up([ONE, OTHER])
    assert list(found["kinds"].items()) == [("PNG", 3), ("JPEG", 1)]
    assert list(found["source_short_sides"]) == ["0-63", "64-127", "128-191"]
    assert list(found["source_sizes"].items()) == [("8x4", 3), ("4x8", 1), ("other", 1)]
    assert found["odd"] == {"CMYK": {"count": 2, "images": ["a", "a"]}}
    # Four pixels of 1 and four of 3: mean 2, deviation 1.
    assert (found["mean"], found["std"]) == ([2.0], [1.0])


def test_without_sums_or_of_other_channels_there_is_no_mean() -> None:
    for other in (None, PixelSums(1, [1, 1, 1], [1, 1, 1]).to_json()):
        assert "mean" not in added_up([ONE, replace(OTHER, pixel_sums=other)])


def test_of_a_set_what_differs_is_not_told() -> None:
    found = description_of_set([ONE, OTHER])
    assert (found.images, found.label_counts, found.total_bytes) == (4, {0: 1, 1: 3}, 20)
    assert (found.seed, found.quality, found.sha256, found.version) == (None, 95, "", "1 and 2")


@pytest.mark.parametrize(
    "fields", [{}, {"pixels": "4", "sums": [1], "squares": [1]}, {"pixels": 4, "sums": [1], "squares": []}]
)
def test_sums_that_somebody_wrote(fields: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError)):
        PixelSums.from_json(fields)
