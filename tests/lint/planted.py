"""A mistake, the file it is planted in, and the same file mended; and the data that these files name."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from batchbrew.lint.linter import lint_file
from batchbrew.proto import caffe_pb2 as pb
from tests.dataset.lmdbs import raw_datum, write_lmdb


@dataclass(frozen=True)
class Planted:
    """Where `text` says FAULT, `fault` is wrong and `right` is right.

    `what` is what lint must say of it, on line `line`; `aborts` what real Caffe ends with, None if it does not.
    """

    rule: str
    text: str
    fault: str
    right: str
    what: str
    line: int
    severity: str = "error"
    aborts: str | None = None
    fix: str | None = None

    @property
    def wrong(self) -> str:
        """The text with the mistake in it."""
        return self.text.replace("FAULT", self.fault)

    @property
    def mended(self) -> str:
        """The text without it."""
        return self.text.replace("FAULT", self.right)


def names(planted: Sequence[Planted]) -> list[str]:
    """One for each, for pytest."""
    return [f"{number}-{each.rule}" for number, each in enumerate(planted)]


def assert_found_and_mended(planted: Planted, wrong: Path, mended: Path) -> None:
    """Lint says what it must of the file with the mistake, and nothing of the mended one."""
    found = [each for each in lint_file(wrong) if each.rule == planted.rule]
    assert found, "nothing was found"
    first = found[0]
    assert (first.line, first.severity) == (planted.line, planted.severity)
    if planted.what:
        assert first.what == planted.what.format(folder=Path.cwd())
    if planted.fix is not None:
        assert first.fix == planted.fix
    assert first.why
    assert lint_file(mended) == []


def assert_caffe_ends(planted: Planted, wrong: str, mended: str) -> None:
    """At the mistake, if it is said to. `wrong`, `mended`: its last line, empty where it did not end."""
    if planted.aborts is None:
        assert wrong == ""
    else:
        assert planted.aborts in wrong
    assert mended == ""


def make_sources(folder: Path) -> None:
    """Databases of 60 images of 8×8 with labels 0 to 2, and lists of the same."""
    mixed, in_order = [number % 3 for number in range(60)], [number // 20 for number in range(60)]
    write_lmdb(folder / "good_lmdb", _datums(mixed))
    write_lmdb(folder / "sorted_lmdb", _datums(in_order))
    write_lmdb(folder / "mixed_lmdb", _datums(mixed, lambda number: 9 if number == 1 else 8))
    (folder / "photos").mkdir()
    for label in range(3):
        cv2.imwrite(str(folder / "photos" / f"{label}.png"), np.full((8, 8, 3), 50 * label, np.uint8))
    for name, labels in (("list.txt", mixed), ("sorted.txt", in_order)):
        (folder / name).write_text("".join(f"{label}.png {label}\n" for label in labels))


def _datums(labels: list[int], width: Callable[[int], int] = lambda number: 8) -> Iterator[pb.Datum]:
    for number, label in enumerate(labels):
        yield raw_datum(3, 8, width(number), bytes(3 * 8 * width(number)), label)
