"""pycaffe's interface on PyTorch: the same files, the same numbers, on today's machines (docs/engine.md).

`python -m batchbrew.caffe SCRIPT.py ...` runs a pycaffe script, whose `import caffe` finds this; a program of one's own
writes `from batchbrew import caffe`.
"""

import batchbrew.caffe.layers  # noqa: F401  (registers all types of layers)
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.engine_log import init_log, log
from batchbrew.caffe.layer import Layer, layer_type_list
from batchbrew.caffe.mode import (
    TEST,
    TRAIN,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from batchbrew.caffe.net import Net
from batchbrew.caffe.parallel import NCCL, has_nccl
from batchbrew.caffe.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)
from batchbrew.caffe.timer import Timer

__version__ = "1.0.0"  # the Caffe whose behaviour this is

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "Layer",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]
