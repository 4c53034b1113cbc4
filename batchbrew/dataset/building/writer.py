"""Images → LMDB of Datum messages, as Caffe's Data layer reads them.

The same source, options and seed give the same records whatever the number of workers, and however often the build was
interrupted. Every image is counted: listed = written + unreadable + refused.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import lmdb

from batchbrew.allocator import keep_freed_pictures
from batchbrew.dataset.building.describing import check_totals, describe
from batchbrew.dataset.building.growing import Growing, NothingUsable
from batchbrew.dataset.building.job import Job, job_of
from batchbrew.dataset.building.making_records import Maker
from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.partial import Partial, check_target, refuse_interrupted, working_on
from batchbrew.dataset.building.plan import differences, plan_behind
from batchbrew.dataset.building.shard_set import check_siblings, described, set_meter
from batchbrew.dataset.building.space import check_space
from batchbrew.dataset.description import FILE_NAME, Description, read_description
from batchbrew.dataset.making import Made
from batchbrew.dataset.parallel import default_workers
from batchbrew.dataset.progress import Meter
from batchbrew.dataset.shards import lmdbs_in, shard_name
from batchbrew.dataset.sources import Source
from batchbrew.errors import InputError


@dataclass(frozen=True)
class BuildReport:
    """What was built, where, and in what time."""

    path: Path
    descriptions: tuple[Description, ...]
    """Of each LMDB: one, or the shards."""
    seconds: float
    made: int
    """Images that this run has dealt with; earlier ones had the others."""

    @property
    def description(self) -> Description:
        """Of the LMDB, or of the first shard."""
        return self.descriptions[0]


def build_lmdb(
    source: Source, out: Path, options: BuildOptions | None = None, progress: Meter | None = None
) -> BuildReport:
    """Write the images of `source` to the LMDB `out`, or to a set of shards in it, or to one shard of the set.

    An image that cannot be used is left out, counted, and named in dataset.json. Until all is there, it is in
    OUT.partial beside `out` (`building/partial.py`), and a build that ended early, in whatever way, can be gone on
    with (resume).
    Raises InputError for what cannot be built, for what would be overwritten, and for a full disk.
    """
    started = time.monotonic()
    job = job_of(source, options or BuildOptions())
    build = _Build(job, progress)
    keep_freed_pictures()
    with _one_opencv_thread():
        if job.options.shard is not None:
            check_siblings(out, job.plan)
            out = out / shard_name(*job.plan["shard"])
        build.to(out, job)
    descriptions = tuple(map(described, lmdbs_in(out)))
    return BuildReport(out, descriptions, time.monotonic() - started, build.made)


class _Build:
    """One call of `build_lmdb`."""

    def __init__(self, job: Job, meter: Meter | None) -> None:
        self._maker = Maker(job.source, job.options.images)
        self._workers = job.options.workers or default_workers()
        self._meter = meter
        self.made = 0

    def to(self, target: Path, job: Job) -> None:
        """Build `job` as the folder `target`, from the beginning or from where an earlier build has left it."""
        options = job.options
        with _writing(target), working_on(target) as partial:
            changed = _finished_differences(target, job) if options.resume else None
            if changed == []:
                partial.clear()  # what a build leaves that is killed after its last step
                return
            if changed and not options.force:
                raise InputError(
                    f"{target} exists already, of another build ({'; '.join(changed)}): choose another name, or "
                    "replace it when the new one is whole, with --force"
                )
            check_target(target, options.force)
            if not partial.is_begun() or (options.force and not options.resume):
                if options.check_space:
                    check_space(target, job.order, self._made)
                partial.begin(job.plan)
            else:
                _check_going_on(partial, job)
            if not partial.whole:
                self._complete(partial, job)
            check_target(target, options.force)  # made meanwhile by somebody else
            partial.publish()

    def _complete(self, partial: Partial, job: Job) -> None:
        if job.options.shards == 1 or job.options.shard is not None:
            self._grow(partial, job)
        else:
            self._grow_shards(partial, job)

    def _grow(self, partial: Partial, job: Job) -> None:
        with contextlib.closing(Growing(partial, job.source, job.order)) as growing:
            before = growing.position
            try:
                growing.grow(self._maker, self._workers, job.options.max_bad, self._meter)
            except NothingUsable:
                partial.clear()  # there is nothing to go on with
                raise
            finally:
                self.made += growing.position - before
            description = describe(growing, job)
        check_totals(description, job.listed)
        (partial.growing / FILE_NAME).write_text(description.to_json(), encoding="utf-8")

    def _grow_shards(self, partial: Partial, job: Job) -> None:
        """The set is one target: its shards are built like single ones, inside of what is to become it."""
        partial.growing.mkdir(exist_ok=True)
        whole_meter, max_bad, done, bad, written = self._meter, job.options.max_bad, 0, 0, 0
        for number in range(job.options.shards):
            shard = job.shard(number)
            # Of the whole set; what is refused counts for all of it from the beginning.
            left_bad = None if max_bad is None else max(max_bad - bad, len(job.source.refused))
            options = replace(shard.options, resume=True, force=False, check_space=False, max_bad=left_bad)
            shard = replace(shard, options=options)
            folder = partial.growing / shard_name(number, job.options.shards)
            self._meter = set_meter(whole_meter, done, len(job.order), bad, written)
            self.to(folder, shard)
            built = described(folder)
            done += len(shard.order)
            bad += len(built.unreadable)
            written += built.total_bytes

    def _made(self, index: int) -> Made | None:
        made = self._maker.make(index)
        return made if isinstance(made, Made) else None


def _finished_differences(target: Path, job: Job) -> list[str] | None:
    """In what a finished build is not that of `job`; None: there is none."""
    try:
        finished = [read_description(each) for each in lmdbs_in(target)]
    except InputError:
        return None
    if any(each is None for each in finished):
        return None
    plans = [plan_behind(each) for each in finished if each is not None]
    wanted = [job.plan]
    if job.options.shards > 1 and job.options.shard is None:
        wanted = [job.shard(number).plan for number in range(job.options.shards)]
    if len(plans) != len(wanted):
        return None
    return next(filter(None, map(differences, plans, wanted)), [])


def _check_going_on(partial: Partial, job: Job) -> None:
    """Raises InputError unless an interrupted build may and can be gone on with."""
    if not job.options.resume:
        refuse_interrupted(partial)
    if changed := differences(partial.plan(), job.plan):
        raise InputError(
            f"{partial.folder} is of another build and cannot be gone on with: {'; '.join(changed)}; give what was "
            "given then, or begin anew with --force"
        )


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    """What LMDB or the system say when the disk is full, as one line."""
    try:
        yield
    except BrokenPipeError:  # of a terminal that is gone
        raise
    except (lmdb.Error, OSError) as error:
        # LMDB reports a write that ended early as "Input/output error", so the free space is worth telling.
        try:
            free = f"{shutil.disk_usage(out.parent).free / 2**20:,.0f} MiB are free there"
        except OSError:
            free = "its file system does not answer"
        raise InputError(
            f"{out} cannot be written: {error} ({free}); make room, then go on with the same command and --resume"
        ) from error


@contextlib.contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV's own threads within ours would only get in each other's way."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
