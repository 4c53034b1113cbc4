"""Trains as told, in whichever engine `caffe` is: run by path in real Caffe's Python 3.9, imported for ours.

Inputs and initial weights follow from the iteration alone, so that both engines see the same, also after a restart.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def train(caffe: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Train by the solver `job["solver"]`, from `job["resume"]` or from weights drawn anew, up to iteration
    `job["until"]`; then snapshot. Returns weights and their diffs by name and index.
    """
    solver = caffe.get_solver(job["solver"])
    net = solver.net
    if job.get("resume"):
        solver.restore(job["resume"])
    else:
        draw_weights(net)
    passes = [0]

    def fill(layer: int) -> None:
        if layer == 0:
            numbers = np.random.RandomState(1000 * solver.iter + passes[0])
            for name in net.inputs:
                net.blobs[name].data[...] = numbers.randn(*net.blobs[name].data.shape)
            passes[0] += 1

    net.before_forward(fill)
    solver.add_callback(lambda: passes.__setitem__(0, 0), lambda: None)
    solver.step(job["until"] - solver.iter)
    solver.snapshot()
    found = {}
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            found[f"{name} {index} data"] = blob.data.copy()
            found[f"{name} {index} diff"] = blob.diff.copy()
    return found


def draw_weights(net: Any) -> None:
    """Fill all parameters but BatchNorm's."""
    numbers = np.random.RandomState(7)
    for layer in net.layers:
        if layer.type != "BatchNorm":
            for blob in layer.blobs:
                blob.data[...] = 0.5 * numbers.randn(*blob.data.shape)


if __name__ == "__main__":
    import caffe as real_caffe

    jobs = json.loads(Path(sys.argv[1]).read_text())
    everything = {}
    for each in jobs:
        for key, value in train(real_caffe, each).items():
            everything[f"{each['name']} {key}"] = value
    np.savez(sys.argv[2], **everything)
