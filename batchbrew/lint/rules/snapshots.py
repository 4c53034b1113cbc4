"""Snapshots: where they go, and how often."""

import os
from collections.abc import Iterator
from pathlib import Path

from batchbrew.lint.registry import Fault, SolverCase, solver_rule


@solver_rule(
    "snapshot-folder",
    "error",
    "snapshot_prefix in a folder that is not there or cannot be written to",
    why="Caffe ends when it starts: Cannot write to snapshot prefix.",
)
def snapshot_folder(case: SolverCase) -> Iterator[Fault]:
    """Real Caffe 1.0 writes a probe first, but only with snapshot > 0; else it ends at the end, unsaved.

    Without a prefix it takes the solver's own path for one.
    """
    solver = case.solver
    if not solver.snapshot_prefix:
        return
    late = "" if solver.snapshot > 0 else "Caffe ends when training is over, and the weights are lost."
    prefix = Path(solver.snapshot_prefix)
    folder = prefix if solver.snapshot_prefix.endswith("/") or prefix.is_dir() else prefix.parent
    if not folder.is_dir():
        yield Fault(
            "snapshot_prefix",
            f"{folder} does not exist, seen from {Path.cwd()}",
            f"mkdir -p {folder}, or another snapshot_prefix",
            why=late,
        )
    elif not os.access(folder, os.W_OK):
        yield Fault("snapshot_prefix", f"{folder} cannot be written to", "another snapshot_prefix", why=late)


@solver_rule(
    "snapshot-never",
    "note",
    "no snapshot before the end",
    why="Whatever ends the training takes all of it along.",
)
def snapshot_never(case: SolverCase) -> Iterator[Fault]:
    """The default of snapshot is 0; Caffe still saves at the end, unless snapshot_after_train is false."""
    solver = case.solver
    if solver.max_iter < 1 or solver.snapshot > 0:
        return
    if solver.snapshot_after_train:
        yield Fault("snapshot", "snapshot is 0", "snapshot: iterations between two snapshots")
    else:
        yield Fault(
            "snapshot_after_train",
            "snapshot is 0, and snapshot_after_train false",
            "snapshot: iterations between two snapshots",
            why="Nothing of the training is ever saved.",
            severity="error",
        )


@solver_rule(
    "snapshot-untested",
    "note",
    "snapshots at iterations that are not tested",
    why="Nobody knows the test error of most snapshots.",
)
def snapshot_untested(case: SolverCase) -> Iterator[Fault]:
    """Quiet where all snapshots fall on tests, or all tests on snapshots; the end is both tested and saved."""
    solver = case.solver
    snapshot, test = solver.snapshot, solver.test_interval
    if not solver.test_iter or snapshot < 1 or test < 1:
        return
    if snapshot % test and test % snapshot:
        yield Fault(
            "snapshot",
            f"snapshot is {snapshot:,} and test_interval {test:,}: neither is a multiple of the other",
            f"snapshot: {test}, or a multiple of it",
        )
