"""Which of a million names come more than once, without a set of a million names."""

from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise


class Repeats:
    """Collects names, 8 bytes each; tells then which of them may be repeated (equal names always are).

    Python's hash is of 64 bits, so names that merely share it are as good as never met; who asks compares
    the names themselves.
    """

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, name: str) -> None:
        """Note another name."""
        self._hashes.append(hash(name))

    def candidates(self, names: Iterable[str]) -> Iterator[tuple[int, str]]:
        """Of `names`, the same in the same order: number and name of those whose hash was met more than once."""
        repeated = {one for one, another in pairwise(sorted(self._hashes)) if one == another}
        if repeated:
            for number, name in enumerate(names):
                if self._hashes[number] in repeated:
                    yield number, name
