"""Sums over pixels, of which mean and deviation are made. They are whole numbers: those of several data sets add up."""

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PixelSums:
    """Of each channel, BGR or grey, 0..255; as made, of no pixels."""

    pixels: int = 0
    sums: list[int] = field(default_factory=list)
    """Σx"""
    squares: list[int] = field(default_factory=list)
    """Σx²"""

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "PixelSums":
        """What `to_json` gave. Raises KeyError, TypeError or ValueError for anything else."""
        found = cls(fields["pixels"], list(fields["sums"]), list(fields["squares"]))
        numbers = [found.pixels, *found.sums, *found.squares]
        if len(found.sums) != len(found.squares) or not all(
            type(each) is int and each >= 0 for each in numbers
        ):
            raise ValueError(f"{fields} are no sums of pixels")
        return found

    def to_json(self) -> dict[str, Any]:
        """For dataset.json."""
        return {"pixels": self.pixels, "sums": self.sums, "squares": self.squares}

    def plus(self, other: "PixelSums") -> "PixelSums":
        """Of both, which have the same channels, or one of which counts nothing yet."""
        if not self.sums or not other.sums:
            return self if self.sums else other
        return PixelSums(
            self.pixels + other.pixels,
            [one + another for one, another in zip(self.sums, other.sums, strict=True)],
            [one + another for one, another in zip(self.squares, other.squares, strict=True)],
        )

    def mean(self) -> list[float]:
        """Of each channel."""
        return [round(total / self.pixels, 4) for total in self.sums]

    def std(self) -> list[float]:
        """The standard deviation, likewise."""
        return [
            round(math.sqrt(max(self.pixels * square - total * total, 0)) / self.pixels, 4)
            for total, square in zip(self.sums, self.squares, strict=True)
        ]
