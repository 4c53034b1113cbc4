"""Windows along one axis."""

import pytest

from batchbrew.nets.shapes.windows import Window


@pytest.mark.parametrize(
    ("window", "size", "idle"),
    [
        (Window(3, 1, 1, 1), 1, True),  # the first and the last tap are in the pad
        (Window(3, 1, 1, 1), 2, False),
        (Window(2, 3, 1, 1), 2, True),  # one position, from -1 to 0
        (Window(2, 3, 1, 1), 5, False),  # the second begins at 2
        (Window(3, 4, 2, 1), 3, True),  # the second tap: at -1 and 3
        (Window(3, 1, 12, 12), 13, False),
        (Window(3, 1, 12, 12), 12, True),
        (Window(1, 2, 1, 1), 1, True),  # at -1 and 1
        (Window(5, 1, 0, 1), 5, False),
    ],
)
def test_a_tap_that_never_meets_the_image(window: Window, size: int, idle: bool) -> None:
    assert window.has_idle_tap(size) is idle
