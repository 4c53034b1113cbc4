"""The rules, a module for each concern. A rule is registered when its module is imported."""

from batchbrew.lint.rules import (
    batch_norm,
    data_paths,
    decay,
    in_place,
    labels,
    losses,
    snapshots,
    solver_nets,
    testing,
    transforms,
    wiring,
)

__all__ = [
    "batch_norm",
    "data_paths",
    "decay",
    "in_place",
    "labels",
    "losses",
    "snapshots",
    "solver_nets",
    "testing",
    "transforms",
    "wiring",
]
