"""What pycaffe has in its compiled module, for scripts that import from `caffe._caffe`."""

from batchbrew.caffe import __version__
from batchbrew.caffe.blob import Blob, BlobVec
from batchbrew.caffe.engine_log import init_log, log
from batchbrew.caffe.layer import Layer, layer_type_list
from batchbrew.caffe.mode import (
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
from batchbrew.caffe.solving.solver import Solver
from batchbrew.caffe.solving.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)
from batchbrew.caffe.timer import Timer
from batchbrew.proto.caffe_pb2 import LayerParameter, SolverParameter

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "BlobVec",
    "Layer",
    "LayerParameter",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "SolverParameter",
    "Timer",
    "__version__",
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
