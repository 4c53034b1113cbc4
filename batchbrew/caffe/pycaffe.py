"""What pycaffe has in its module of this name, for scripts that import from `caffe.pycaffe`."""

from batchbrew.caffe.net import Net
from batchbrew.caffe.parallel import NCCL
from batchbrew.caffe.solving.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
)
from batchbrew.caffe.timer import Timer

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
]
