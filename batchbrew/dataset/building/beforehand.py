"""What a build would be refused for in the end is said before its source is looked through, which may take long."""

import os
from pathlib import Path

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.partial import Partial, check_target, refuse_interrupted, working_on
from batchbrew.dataset.building.shard_set import check_folder
from batchbrew.dataset.shards import shard_name
from batchbrew.errors import InputError


def check_beforehand(out: Path, options: BuildOptions) -> None:
    """Raises InputError for a target that is there, is being built, or cannot be made. Makes nothing.

    The build checks all of it again, since others may come first. With `resume`, a target that is there may be what
    is wanted: only the source tells.
    """
    target = out
    if options.shard is not None:
        check_folder(out, options.shards)
        target = out / shard_name(options.shard, options.shards)
    if not options.resume:
        check_target(target, options.force)
    partial = Partial(target)
    if partial.folder.exists():
        with working_on(target):
            if partial.is_begun() and not options.resume and not options.force:
                refuse_interrupted(partial)
        return
    parent = next(each for each in target.absolute().parents if each.exists() or each.is_symlink())
    if not parent.is_dir():
        raise InputError(f"{target} cannot be made: {parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{target} cannot be made: {parent} may not be written to")
