"""What a build is asked for, besides the pictures and the place."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from batchbrew.dataset.image_options import ImageOptions
from batchbrew.errors import InputError

MAX_WORKERS = 1024
MAX_SHARDS = 99_999  # five digits in their names


@dataclass(frozen=True)
class BuildOptions:
    """Raises InputError for what cannot be."""

    images: ImageOptions = field(default_factory=ImageOptions)
    seed: int | None = 0
    """Of the order; None: the source's own."""
    workers: int | None = None
    """Threads; None: one for each core."""
    max_bad: int | None = None
    """Pictures that may be left out; None: any number but all."""
    shards: int = 1
    shard: int | None = None
    """Which one alone to build, from 0."""
    class_names: Sequence[str] | None = None
    """Instead of the source's."""
    resume: bool = False
    """Go on with an interrupted build, if there is one."""
    force: bool = False
    """Put the new LMDB in the place of an old one; drop an interrupted build that is not gone on with."""
    check_space: bool = True

    def __post_init__(self) -> None:
        if self.seed is not None and (not isinstance(self.seed, int) or self.seed < 0):
            raise InputError(f"seed {self.seed!r} cannot be used: it must be a whole number from 0")
        if self.workers is not None and not 1 <= self.workers <= MAX_WORKERS:
            raise InputError(f"{self.workers} workers cannot be used: give 1 to {MAX_WORKERS}")
        if self.max_bad is not None and self.max_bad < 0:
            raise InputError(f"{self.max_bad} unreadable images cannot be allowed: give 0 or more")
        if not 1 <= self.shards <= MAX_SHARDS:
            raise InputError(f"{self.shards} shards cannot be made: give 1 to {MAX_SHARDS:,}")
        if self.shard is not None and not 0 <= self.shard < self.shards:
            raise InputError(
                f"shard {self.shard} is none of {self.shards} (--shards): they are 0 to {self.shards - 1}"
            )
