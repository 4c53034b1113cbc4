"""Window files, R-CNN's lists of boxes in images: WindowData's source (window_data_layer.cpp)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

CHANNELS = 3


class Window(NamedTuple):
    """A box of an image: its corners are pixels of it. Label 0 is background."""

    image: str
    label: int
    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True)
class Windows:
    """All boxes of a file that count, by whether they show an object, and the images that it names."""

    foreground: list[Window] = field(default_factory=list)
    background: list[Window] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


def read_windows(param: pb.WindowDataParameter) -> Windows:
    """Read `param.source`: for each image `# number`, its path, channels, height, width, how many boxes, and the boxes.

    A box is `class overlap x1 y1 x2 y2`: foreground from fg_threshold on, background below bg_threshold, else it is
    left out. Raises InputError with the place where the file is not so.
    """
    path = Path(param.source)
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise InputError(f"its source {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"its source {path} cannot be read: {error}") from error
    reader = _Reader(path, iter(text.split()))
    found = Windows()
    # Caffe compares in float32
    foreground, background = np.float32(param.fg_threshold), np.float32(param.bg_threshold)
    while reader.begins_image(len(found.images)):
        image = param.root_folder + reader.word("the path of an image")
        channels, _, _ = (reader.whole(name) for name in ("channels", "height", "width"))
        if channels != CHANNELS:
            raise reader.error(
                f"gives it {channels} channels, but images are read in colour: write {CHANNELS}"
            )
        found.images.append(image)
        for _ in range(reader.whole("the number of windows")):
            label = reader.whole("a class")
            overlap = np.float32(reader.number("an overlap"))
            corners = [reader.whole(name) for name in ("x1", "y1", "x2", "y2")]
            if overlap >= foreground:
                if label <= 0:
                    raise reader.error(
                        f"has a foreground window of class {label}: classes of objects begin at 1"
                    )
                found.foreground.append(Window(image, label, *corners))
            elif overlap < background:
                found.background.append(Window(image, 0, *corners))
    if not found.images:
        raise InputError(f"its source {path} names no image: a window file begins with `# 0`")
    return found


class _Reader:
    """Words between white space, as Caffe's stream reads them."""

    def __init__(self, path: Path, words: Iterator[str]) -> None:
        self._path = path
        self._words = words
        self._image = 0

    def begins_image(self, number: int) -> bool:
        """Is there another image? It must have this number: Caffe finds images by it."""
        sign = next(self._words, None)
        if sign is None:
            return False
        self._image = number
        if sign != "#":
            raise self.error(f"begins with {sign[:40]!r}: `# {number}` is expected")
        if (said := self.whole("the number of an image")) != number:
            raise self.error(f"has the number {said}: images are numbered from 0 on, without gaps")
        return True

    def word(self, what: str) -> str:
        word = next(self._words, None)
        if word is None:
            raise self.error(f"ends where {what} is expected")
        return word

    def whole(self, what: str) -> int:
        word = self.word(what)
        try:
            value = int(word)
        except ValueError:
            value = 2**31
        if not -(2**31) <= value < 2**31:
            raise self.error(f"has {word[:40]!r} where {what} is expected, a whole number")
        return value

    def number(self, what: str) -> float:
        word = self.word(what)
        try:
            return float(word)
        except ValueError:
            raise self.error(f"has {word[:40]!r} where {what} is expected") from None

    def error(self, text: str) -> InputError:
        return InputError(f"{self._path}: image {self._image} {text}")
