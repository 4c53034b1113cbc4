"""LMDBs made from LMDBs: shuffled, merged, a part of one, one cut into parts.

Records are copied as they are; only labels are changed where that is asked for. Keys are numbered anew: the number in
front of each is its place, since Caffe reads in the order of the keys. Memory is some bytes a record.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchbrew.dataset import choosing
from batchbrew.dataset.building.partial import check_target
from batchbrew.dataset.building.record_writer import MAX_IMAGES, RecordWriter
from batchbrew.dataset.class_names import agreed_names, joined_names
from batchbrew.dataset.copying import Meter, copy_record, labels_of, stored_bytes
from batchbrew.dataset.derivation import Parent, derived
from batchbrew.dataset.description import FILE_NAME, Description
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.replacing import new_lmdb
from batchbrew.dataset.selection import Choice, chosen
from batchbrew.dataset.sources import permutation
from batchbrew.errors import InputError

FRACTIONS_DIFFER = 1e-6  # from 1, as written numbers may: 0.333333 three times
MOST_PARTS = 255


@dataclass(frozen=True)
class Rewritten:
    """An LMDB that was written."""

    path: Path
    description: Description


def shuffle(
    path: Path, out: Path, *, seed: int = 0, force: bool = False, progress: Progress | None = None
) -> Rewritten:
    """All records of `path`, in the order of `permutation`."""
    with LmdbReader(path) as reader:
        order = permutation(reader.count, seed)
        parent = Parent.at(path, reader.count)
        meter = Meter(reader.count, progress)
        with (
            new_lmdb(out, force=force, read=[path], needed_bytes=stored_bytes(path)) as folder,
            contextlib.closing(RecordWriter(folder)) as writer,
        ):
            for key, value in map(reader.item, order):
                copy_record(path, key, value, writer)
                meter.step()
            how = f"shuffled with seed {seed}"
            description = derived(
                how, [parent], writer, class_names=parent.class_names, whole=True, seed=seed
            )
            _finish(folder, writer, description)
    return Rewritten(out, description)


def merge(
    paths: Sequence[Path],
    out: Path,
    *,
    offset_labels: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Rewritten:
    """The records of all, one data set behind the other; of one, if it is a set of LMDBs.

    Labels mean the same in all, and so must the class names, where they are known. With `offset_labels` each data set
    has classes of its own: its labels begin behind those of the one before.
    """
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(LmdbReader(path)) for path in _each_once(paths)]
        if len(readers) == 1:
            _check_alone(readers[0], offset_labels)
        parents = [Parent.at(reader.path, reader.count) for reader in readers]
        total = sum(reader.count for reader in readers)
        if total > MAX_IMAGES:
            raise InputError(f"{total:,} records are too many for an LMDB: it may have {MAX_IMAGES:,}")
        offsets = _offsets(parents, readers, progress) if offset_labels else [0] * len(parents)
        names = joined_names(parents) if offset_labels else agreed_names(parents)
        meter = Meter(total, progress)
        with (
            new_lmdb(out, force=force, read=paths, needed_bytes=sum(map(stored_bytes, paths))) as folder,
            contextlib.closing(RecordWriter(folder)) as writer,
        ):
            for reader, offset in zip(readers, offsets, strict=True):
                for key, value in reader.items():
                    copy_record(reader.path, key, value, writer, _behind(offset) if offset else None)
                    meter.step()
            how = "merged, the labels of each behind those of the one before" if offset_labels else "merged"
            description = derived(how, parents, writer, class_names=names, whole=True, offsets=offsets)
            _finish(folder, writer, description)
    return Rewritten(out, description)


def subset(
    path: Path, out: Path, choice: Choice, *, force: bool = False, progress: Progress | None = None
) -> Rewritten:
    """Some records of `path`, in its order."""
    check_target(out, force)  # before the labels are read
    with LmdbReader(path) as reader:
        parent = Parent.at(path, reader.count)
        numbers = chosen(reader, choice, progress)
        names, change = parent.class_names, None
        if choice.relabel and choice.labels is not None:
            change = choice.labels.place
            names = None if names is None else [names[label] for label in choice.labels.below(len(names))]
        meter = Meter(len(numbers), progress)
        needed = round(stored_bytes(path) * len(numbers) / reader.count)
        with (
            new_lmdb(out, force=force, read=[path], needed_bytes=needed) as folder,
            contextlib.closing(RecordWriter(folder)) as writer,
        ):
            for key, value in map(reader.item, numbers):
                copy_record(path, key, value, writer, change)
                meter.step()
            description = derived(
                choice.in_words, [parent], writer, class_names=names, relabelled=choice.relabel
            )
            _finish(folder, writer, description)
    return Rewritten(out, description)


def split(
    path: Path,
    outs: Sequence[Path],
    fractions: Sequence[float],
    *,
    seed: int = 0,
    stratified: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> list[Rewritten]:
    """Every record of `path` in one of `outs`, drawn by the seed; each part in the order of `path`.

    Stratified, each part gets its fraction of every class, to a record or so; else of the whole alone.
    """
    _check_parts(outs, fractions)
    for out in outs:
        check_target(out, force)  # before the labels are read
    with LmdbReader(path) as reader, contextlib.ExitStack() as stack:
        parent = Parent.at(path, reader.count)
        meter = Meter(reader.count * (2 if stratified else 1), progress)
        order = permutation(reader.count, seed)
        if stratified:
            order = choosing.by_class(labels_of(reader, meter), order, seed)
        part_of = choosing.divided(order, fractions)
        sizes = Counter(part_of)
        for part, out in enumerate(outs):
            if not sizes[part]:
                raise InputError(
                    f"{out} would have no record: {fractions[part]} of {reader.count:,} is too little"
                )
        needed = stored_bytes(path)
        folders = [
            stack.enter_context(
                new_lmdb(
                    out, force=force, read=[path], needed_bytes=round(needed * sizes[part] / reader.count)
                )
            )
            for part, out in enumerate(outs)
        ]
        writers = [stack.enter_context(contextlib.closing(RecordWriter(folder))) for folder in folders]
        for part, (key, value) in zip(part_of, reader.items(), strict=True):
            copy_record(path, key, value, writers[part])
            meter.step()
        way = "the same of each class" if stratified else "whatever the class"
        results = []
        for part, (out, folder, writer) in enumerate(zip(outs, folders, writers, strict=True)):
            how = f"part {part + 1} of {len(outs)} ({fractions[part]}), drawn with seed {seed}, {way}"
            description = derived(how, [parent], writer, class_names=parent.class_names)
            _finish(folder, writer, description)
            results.append(Rewritten(out, description))
    return results


def _finish(folder: Path, writer: RecordWriter, description: Description) -> None:
    writer.finish()
    (folder / FILE_NAME).write_text(description.to_json(), encoding="utf-8")


def _check_parts(outs: Sequence[Path], fractions: Sequence[float]) -> None:
    shown = ",".join(map(str, fractions))
    if not 2 <= len(outs) == len(fractions) <= MOST_PARTS:
        raise InputError(
            f"{len(outs)} LMDBs and {len(fractions)} fractions ({shown}) do not go together: give two or more LMDBs, "
            "and a fraction for each, as in --fractions 0.9,0.1"
        )
    if not all(fraction > 0 for fraction in fractions) or abs(sum(fractions) - 1) > FRACTIONS_DIFFER:
        raise InputError(f"fractions {shown} cannot be used: all are above 0, and together they are 1")
    resolved = [out.resolve() for out in outs]
    for place, one in enumerate(resolved):
        for earlier, other in zip(outs, resolved[:place], strict=False):
            if one == other:
                raise InputError(f"{outs[place]} is named twice: give each part a folder of its own")
            if one in other.parents or other in one.parents:
                inner, outer = (earlier, outs[place]) if one in other.parents else (outs[place], earlier)
                raise InputError(f"{inner} is inside of {outer}: give each part a folder of its own")


def _each_once(paths: Sequence[Path]) -> Sequence[Path]:
    if not paths:
        raise InputError(
            "nothing to merge is named: give two or more LMDBs, or one set, and then the LMDB to make"
        )
    resolved = [path.resolve() for path in paths]
    for place, path in enumerate(resolved):
        if path in resolved[:place]:
            raise InputError(f"{paths[place]} is named twice: its records would be there twice")
    return paths


def _check_alone(reader: LmdbReader, offset_labels: bool) -> None:
    if len(reader.shards) == 1:
        raise InputError(
            f"{reader.path} is one LMDB: name two or more to merge, or a set of shards, and then the LMDB to make"
        )
    if offset_labels:
        raise InputError(
            f"--offset-labels does nothing to {reader.path}, whose {len(reader.shards)} LMDBs are one data set: "
            "name each of them, or leave it out"
        )


def _offsets(
    parents: Sequence[Parent], readers: Sequence[LmdbReader], progress: Progress | None
) -> list[int]:
    """How much is added to the labels of each."""
    offsets, behind = [], 0
    for parent, reader in zip(parents, readers, strict=True):
        offsets.append(behind)
        classes = parent.known_classes
        behind += 1 + max(labels_of(reader, Meter(reader.count, progress))) if classes is None else classes
    return offsets


def _behind(offset: int) -> Callable[[int], int]:
    return lambda label: label + offset
