"""Which pictures a data set has more than once, and which two data sets have in common.

Each picture is known by 64 bits of a hash of its pixels (with their number of rows, columns and channels), and 64 of
the bytes that it is stored in: 16 bytes a record, and 4 for its label. Pictures are taken for the same if all their
pixels are equal, in whatever format they are stored: a PNG and a raw Datum, or two JPEGs that differ in their
metadata. One that was scaled, cropped or coded anew as a JPEG has other pixels, and is not found. Among a million
pictures the chance that any two different ones are taken for the same is one in forty million.
"""

import hashlib
from array import array
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NAMED = 10  # pairs
NOTHING = 0  # stands for a picture that could not be decoded, and is equal to none

Hashes = NDArray[np.uint64]


class Fingerprint(NamedTuple):
    """What a picture is known by; the same pixels may be stored in other bytes."""

    pixels: int
    stored: int


UNKNOWN = Fingerprint(NOTHING, NOTHING)


def fingerprint(image: NDArray[Any], stored: bytes) -> Fingerprint:
    """Of H×W×C pixels and of what they were decoded from."""
    header = f"{image.dtype.str} {image.shape}".encode()
    # Bytes that were raw pixels lie C×H×W: the same picture has the same rows, whatever lay how in memory.
    pixels = hashlib.sha1(header, usedforsecurity=False)
    pixels.update(np.ascontiguousarray(image).data)
    return Fingerprint(
        _number(pixels.digest()), _number(hashlib.sha1(stored, usedforsecurity=False).digest())
    )


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little") or 1


@dataclass(frozen=True)
class Repeats:
    """Pairs of records with equal pixels."""

    pictures: int
    """Records that could be left out: of three equal ones, two. Across data sets: those that are in both."""
    stored_alike: int
    """Of them, those that are equal byte for byte to the one that they repeat."""
    labelled_otherwise: int
    """Of them, those with another label than the one that they repeat."""
    first: list[tuple[int, int]]
    """The first ten: the number of the record that is repeated, and of the one that repeats it."""


class Fingerprints:
    """Those of the records of a data set, in order."""

    def __init__(self) -> None:
        self._pixels = array("Q")
        self._stored = array("Q")
        self._labels = array("i")

    def add(self, found: Fingerprint, label: int) -> None:
        """Append the next record's."""
        self._pixels.append(found.pixels)
        self._stored.append(found.stored)
        self._labels.append(label)

    def repeats(self) -> Repeats:
        """The pictures that are there more than once."""
        pixels, stored, labels = self._arrays()
        order = np.argsort(pixels, kind="stable")
        ordered = pixels[order]
        again = np.flatnonzero((ordered[1:] == ordered[:-1]) & (ordered[1:] != NOTHING)) + 1
        # The first of each run of equal ones, which are in the order of their numbers: the sort is stable.
        starts = np.searchsorted(ordered, ordered[again], side="left")
        return _repeats(order[starts], order[again], (stored, stored), (labels, labels))

    def repeated_in(self, other: "Fingerprints") -> Repeats:
        """The pictures of `other` that are here too; each pair is a number here, and one there."""
        pixels, stored, labels = self._arrays()
        other_pixels, other_stored, other_labels = other._arrays()
        if not len(pixels):
            other_pixels = other_pixels[:0]
        order = np.argsort(pixels, kind="stable")
        ordered = pixels[order]
        places = np.minimum(np.searchsorted(ordered, other_pixels, side="left"), max(len(ordered) - 1, 0))
        there = np.flatnonzero((other_pixels != NOTHING) & (ordered[places] == other_pixels))
        return _repeats(order[places[there]], there, (stored, other_stored), (labels, other_labels))

    def _arrays(self) -> tuple[Hashes, Hashes, NDArray[np.int32]]:
        return (
            np.frombuffer(self._pixels, np.uint64),
            np.frombuffer(self._stored, np.uint64),
            np.frombuffer(self._labels, np.int32),
        )


def _repeats(
    originals: NDArray[np.intp],
    copies: NDArray[np.intp],
    stored: tuple[Hashes, Hashes],
    labels: tuple[NDArray[np.int32], NDArray[np.int32]],
) -> Repeats:
    by_copy = np.argsort(copies)[:NAMED]
    return Repeats(
        pictures=len(copies),
        stored_alike=int((stored[0][originals] == stored[1][copies]).sum()),
        labelled_otherwise=int((labels[0][originals] != labels[1][copies]).sum()),
        first=[
            (int(original), int(copy))
            for original, copy in zip(originals[by_copy], copies[by_copy], strict=True)
        ],
    )
