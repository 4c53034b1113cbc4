from typing import Any

import pytest

from batchbrew.dataset.image_options import ImageOptions
from batchbrew.errors import InputError


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"mode": "fill"}, "mode 'fill' is not known: choose short, squash, crop, pad or none"),
        ({"encoding": "webp"}, "encoding 'webp' is not known: choose jpeg, png or raw"),
        ({"side": 0}, "a side of 0 cannot be used: give 1 to 4096"),
        ({"side": 4097}, "a side of 4097"),
        ({"quality": 0}, "JPEG quality 0 cannot be used: give 1 to 100"),
        ({"quality": 101}, "JPEG quality 101"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        ImageOptions(**wrong)


def test_channels() -> None:
    assert ImageOptions().channels == 3
    assert ImageOptions(gray=True).channels == 1
