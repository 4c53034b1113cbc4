"""pycaffe's interface on PyTorch: the same files, the same numbers, on today's machines (docs/engine.md).

`python -m batchbrew.caffe SCRIPT.py ...` runs a pycaffe script, whose `import caffe` finds this; a program of one's own
writes `from batchbrew import caffe`.
"""

__version__ = "1.0.0"  # the Caffe whose behaviour this is

import batchbrew.caffe.layers  # noqa: F401  (registers all types of layers)

# Modules that scripts expect after `import caffe` alone: they write caffe.proto.caffe_pb2.Datum().
from batchbrew.caffe import _caffe, classifier, detector, io, net_spec, proto, pycaffe
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.classifier import Classifier
from batchbrew.caffe.detector import Detector
from batchbrew.caffe.engine_log import init_log, log
from batchbrew.caffe.layer import Layer, layer_type_list
from batchbrew.caffe.mode import (
    TEST,
    TRAIN,
    set_device,
    set_fusing,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_precision,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from batchbrew.caffe.net import Net

# In pycaffe `caffe.layers` is not a package, but what makes layers for a NetSpec: so it is here for who asks for the
# attribute. `import batchbrew.caffe.layers.NAME` goes on finding the package.
from batchbrew.caffe.net_spec import NetSpec, layers, params, to_proto
from batchbrew.caffe.parallel import NCCL, has_nccl
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

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "_caffe",
    "classifier",
    "detector",
    "get_solver",
    "has_nccl",
    "init_log",
    "io",
    "layer_type_list",
    "layers",
    "log",
    "net_spec",
    "params",
    "proto",
    "pycaffe",
    "set_device",
    "set_fusing",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_precision",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "to_proto",
]
