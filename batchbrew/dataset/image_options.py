"""What is made of every picture on its way into an LMDB (docs/lmdb_images.md)."""

from dataclasses import dataclass

from batchbrew.errors import InputError

MODES = ("short", "squash", "crop", "pad", "none")
ENCODINGS = ("jpeg", "png", "raw")
MAX_SIDE = 4096


@dataclass(frozen=True)
class ImageOptions:
    """Size and form of the stored pictures. Raises InputError for what cannot be."""

    mode: str = "short"
    """short: short side to `side`, aspect kept; squash: distorted to side × side; crop: the middle square;
    pad: the whole picture in a black square; none: sizes as they are."""
    side: int = 256
    enlarge: bool = False
    """Whether `short` and `pad` enlarge pictures that are smaller; squash and crop always give side × side."""
    gray: bool = False
    exif: bool = False
    """Apply the EXIF orientation. Ignored by default, as in the LMDBs that published numbers come from."""
    encoding: str = "jpeg"
    quality: int = 95
    """Of JPEGs, 1 to 100."""
    recompress: bool = False
    """Code anew what has the right size and form already."""

    def __post_init__(self) -> None:
        _check_choice("mode", self.mode, MODES)
        _check_choice("encoding", self.encoding, ENCODINGS)
        if not 1 <= self.side <= MAX_SIDE:
            raise InputError(
                f"a side of {self.side} cannot be used: give 1 to {MAX_SIDE} pixels (256 is usual)"
            )
        if not 1 <= self.quality <= 100:
            raise InputError(f"JPEG quality {self.quality} cannot be used: give 1 to 100 (95 is usual)")

    @property
    def channels(self) -> int:
        """Of every stored picture."""
        return 1 if self.gray else 3


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{name} {value!r} is not known: choose {', '.join(choices[:-1])} or {choices[-1]}")
