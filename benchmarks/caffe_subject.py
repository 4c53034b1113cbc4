"""A subject that trains in a Caffe: run by path in real Caffe's interpreter, or by `python -m batchbrew.caffe` in ours.

Its argument is a JSON object: `solver`, the prototxt's path; `gpu`, a number or null; `precision`; `classes`, for the
labels that are made up where the net has an Input layer. Python 3.6 and up; standard library, numpy and pycaffe alone.
"""

import json
import sys
from typing import Any, Dict

import caffe
import numpy as np
from serving import serve


def main() -> None:
    """Make the solver of the job, and serve."""
    job = json.loads(sys.argv[1])
    solver = made_solver(job)
    serve(solver.step, lambda: float(solver.net.blobs["loss"].data.sum()), job["gpu"])


def made_solver(job: Dict[str, Any]) -> Any:
    """Ready to train."""
    select_device(job)
    solver = caffe.get_solver(job["solver"])
    if solver.net.layers[0].type == "Input":
        make_up(solver.net, job["classes"])
    if hasattr(solver, "keep_blobs"):
        solver.keep_blobs = False
    return solver


def select_device(job: Dict[str, Any]) -> None:
    """Its GPU or the CPU, and its precision."""
    if job["gpu"] is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(job["gpu"])
        caffe.set_mode_gpu()
    if hasattr(caffe, "set_precision"):
        caffe.set_precision(job["precision"])
    elif job["precision"] != "fp32":
        sys.exit("real Caffe computes in fp32 alone")


def make_up(net: Any, classes: int) -> None:
    """Pixels and labels by chance, the same in each engine."""
    draw = np.random.RandomState(0)
    data, label = net.blobs["data"], net.blobs["label"]
    data.data[...] = draw.randint(0, 256, data.data.shape)
    label.data[...] = draw.randint(0, classes, label.data.shape)


if __name__ == "__main__":
    main()
