"""Shards of one data set: folders in one folder, which are read as a set (batchbrew.dataset.shards)."""

from pathlib import Path

from batchbrew.dataset.building.plan import Plan, differences, plan_behind
from batchbrew.dataset.description import Description, read_description
from batchbrew.dataset.progress import Meter
from batchbrew.dataset.shards import DATA_FILE, shard_name
from batchbrew.errors import InputError


def check_siblings(out: Path, plan: Plan) -> None:
    """Raises InputError if `out`, in which a shard is to be built, holds something that does not belong to its set.

    Jobs of one set must have the same source and options; what is finished tells what the others had.
    """
    number, count = plan["shard"]
    check_folder(out, count)
    if not out.is_dir():
        return
    for other in range(count):
        sibling = out / shard_name(other, count)
        if other == number or not sibling.is_dir():
            continue
        theirs = plan_behind(described(sibling))
        if changed := differences(theirs | {"shard": plan["shard"]}, plan):
            raise InputError(
                f"{sibling} is of another set: {'; '.join(changed)}; build all shards of the same source with the same "
                "options, or choose another --out"
            )


def check_folder(out: Path, count: int) -> None:
    """Raises InputError if `out` cannot be the folder of a set of so many shards."""
    if (out / DATA_FILE).exists():
        raise InputError(f"{out} is an LMDB, and no folder for shards: choose another name")
    strange = [path.name for path in out.glob("shard-*") if f"-of-{count:05}" not in path.name]
    if strange:
        raise InputError(f"{out} holds {min(strange)}, which is none of {count} shards: choose another --out")


def described(lmdb: Path) -> Description:
    """The description of an LMDB of ours. Raises InputError if it has none."""
    description = read_description(lmdb)
    if description is None:
        raise InputError(f"{lmdb} has no dataset.json, so it was not built here: choose another --out")
    return description


def set_meter(meter: Meter | None, done: int, total: int, bad: int, written_bytes: int) -> Meter | None:
    """For one shard of a set of `total` images: what those before it had is done."""
    if meter is None:
        return None

    def shown(shard_done: int, _: int, shard_bad: int, shard_bytes: int | None = None, /) -> None:
        meter(done + shard_done, total, bad + shard_bad, written_bytes + (shard_bytes or 0))

    return shown
