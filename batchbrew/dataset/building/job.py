"""One LMDB to be built, alone or as a shard: its part of the order, its part of what was refused, its plan."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.plan import Plan, plan_of
from batchbrew.dataset.building.record_writer import MAX_IMAGES
from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.sources import MAX_LABEL, Source, permutation
from batchbrew.errors import InputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """What is built of a source. `order` are the entries' indices."""

    source: Source
    options: BuildOptions
    plan: Plan
    order: Sequence[int]
    refused: Sequence[Unreadable]

    @property
    def listed(self) -> int:
        """Images that must be accounted for."""
        return len(self.order) + len(self.refused)

    def shard(self, number: int) -> "Job":
        """The part of this one that is shard `number`: a stretch of the order, as long as the others but for one."""
        shards = self.options.shards
        return replace(
            self,
            options=replace(self.options, shard=number),
            plan=self.plan | {"shard": [number, shards]},
            order=_part(self.order, number, shards),
            refused=_part(self.refused, number, shards),
        )


def job_of(source: Source, options: BuildOptions) -> Job:
    """Raises InputError for a source that cannot be an LMDB with these options."""
    _check(source, options)
    count = len(source.entries)
    order: Sequence[int] = (
        array("I", range(count)) if options.seed is None else permutation(count, options.seed)
    )
    job = Job(source, replace(options, shard=None), plan_of(source, options), order, source.refused)
    return job if options.shard is None else job.shard(options.shard)


def _part(items: Sequence[Item], number: int, parts: int) -> Sequence[Item]:
    return items[number * len(items) // parts : (number + 1) * len(items) // parts]


def _check(source: Source, options: BuildOptions) -> None:
    count = len(source.entries)
    if not 1 <= count <= MAX_IMAGES:
        raise InputError(
            f"{source.name}: {count:,} images cannot be put into an LMDB: give 1 to {MAX_IMAGES:,}"
        )
    if options.shards > count:
        raise InputError(f"{options.shards:,} shards cannot be made of {count:,} images: give fewer")
    refused, max_bad = source.refused, options.max_bad
    if max_bad is not None and len(refused) > max_bad:
        raise InputError(
            f"{source.name}: {counted(len(refused), 'file')} {'is' if len(refused) == 1 else 'are'} refused, where "
            f"{max_bad:,} may be: {refused[0]}; mend the source, or allow more with --max-bad"
        )
    names = options.class_names or source.class_names
    for path, label in source.entries:
        if not 0 <= label <= MAX_LABEL:
            raise InputError(f"{path} has label {label}: labels are 0 to {MAX_LABEL}")
        if names and label >= len(names):
            raise InputError(f"{path} has label {label}, but there are {len(names)} class names")
