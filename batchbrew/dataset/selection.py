"""Which records of a data set a subset of it has."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchbrew.dataset import choosing
from batchbrew.dataset.copying import Meter, labels_of
from batchbrew.dataset.label_ranges import LabelRanges
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader
from batchbrew.errors import InputError


@dataclass(frozen=True)
class Choice:
    """Which records a subset has: at random `count`, a `fraction`, or `per_class`; of those with `labels`, if given."""

    count: int | None = None
    fraction: float | None = None
    per_class: int | None = None
    """That many of each class, or all of a class that has not so many."""
    labels: LabelRanges | None = None
    relabel: bool = False
    """Number the labels that are named anew, from 0, in their order, whether there is a record of each or not."""
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = [size for size in (self.count, self.fraction, self.per_class) if size is not None]
        if not sizes and self.labels is None:
            raise InputError(
                "say which records: one of --count, --fraction and --per-class, or --labels, or both"
            )
        if len(sizes) > 1:
            given = {"--count": self.count, "--fraction": self.fraction, "--per-class": self.per_class}
            named = " and ".join(f"{name} {size}" for name, size in given.items() if size is not None)
            raise InputError(f"{named} are given: choose one")
        for name, size in (("--count", self.count), ("--per-class", self.per_class)):
            if size is not None and size < 1:
                raise InputError(f"{name} {size} leaves no record: give 1 or more")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise InputError(f"--fraction {self.fraction} cannot be used: give more than 0, up to 1")
        if self.relabel and self.labels is None:
            raise InputError(
                "--relabel is given without --labels: only the labels that are named there can be numbered alike "
                "in several data sets"
            )
        choosing.check_seed(self.seed)

    @property
    def in_words(self) -> str:
        """For messages, and dataset.json."""
        size = (
            f"{self.count} records drawn with seed {self.seed}" if self.count is not None
            else f"{self.fraction} of the records, drawn with seed {self.seed}" if self.fraction is not None
            else f"up to {self.per_class} of each class, drawn with seed {self.seed}" if self.per_class is not None
            else "all records"
        )  # fmt: skip
        of = "" if self.labels is None else f" of labels {self.labels.text}"
        return size + of + (", labelled anew from 0" if self.relabel else "")


def chosen(reader: LmdbReader, choice: Choice, progress: Progress | None) -> Sequence[int]:
    """The numbers of the records, in order."""
    candidates: Sequence[int] = range(reader.count)
    labels: Sequence[int] = ()
    if choice.labels is not None or choice.per_class is not None:
        labels = labels_of(reader, Meter(reader.count, progress))
    if choice.labels is not None:
        if missing := choice.labels.without_any(set(labels)):
            raise InputError(
                f"{reader.path} has no record of label {missing[0]}: see `batchbrew lmdb info --full`"
            )
        candidates = [number for number in candidates if labels[number] in choice.labels]
    if choice.per_class is not None:
        return choosing.drawn_of_each(labels, candidates, choice.per_class, choice.seed)
    if choice.count is None and choice.fraction is None:
        return candidates
    wanted = choice.count if choice.count is not None else round((choice.fraction or 0) * len(candidates))
    if not 1 <= wanted <= len(candidates):
        raise InputError(
            f"{wanted:,} of {len(candidates):,} records cannot be chosen: give 1 to {len(candidates):,}"
        )
    return choosing.drawn(candidates, wanted, choice.seed)
