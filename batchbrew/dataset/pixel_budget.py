"""How many pixels all threads of a build together hold decoded: what bounds its memory."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

BYTES_PER_PIXEL = 3  # of a budget's pixel: 8 bits of blue, green and red
DEFAULT_PIXELS = 64_000_000
ALONE_PIXELS = 100_000_000  # of one picture while no other is decoded


class PixelBudget:
    """A number of pixels that threads take from and give back to, in the order in which they asked.

    Who asks for more than the whole gets it when nobody else holds any: so one picture may have up to
    `alone` pixels. A thread must not ask while it holds some.
    """

    def __init__(self, pixels: int = DEFAULT_PIXELS, alone: int = ALONE_PIXELS) -> None:
        assert 0 < pixels <= alone, (pixels, alone)
        self.pixels = pixels
        self.alone = alone
        self._free = pixels  # below 0 while one holds more than the whole
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Wait until `pixels`, at most `alone`, are free; they are taken for as long as the block runs."""
        assert pixels <= self.alone, (pixels, self.alone)
        place = object()
        with self._changed:
            self._waiting.append(place)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is place and self._is_free(pixels))
                self._free -= pixels
            finally:
                self._waiting.remove(place)
                self._changed.notify_all()  # the next in the row may fit, too
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()

    def _is_free(self, pixels: int) -> bool:
        return pixels <= self._free or self._free == self.pixels
