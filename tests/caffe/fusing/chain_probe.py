"""Runs small nets as told, in whichever engine `caffe` is: run by path in real Caffe's Python 3.9, imported for ours.

Parameters and inputs follow from seeds alone, so that both engines see the same.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 3


def run(caffe: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Make the net of `job` and do its steps. Returns what each "look" saw, by "number part blob"."""
    net = caffe.Net(job["net"], job["phase"])
    draw_parameters(net, np.random.RandomState(job["seed"]), job)
    names, found, held = list(net._layer_names), {}, []
    first, last, looks, passes = 0, len(names) - 1, 0, 0
    for step, *about in job["steps"]:
        if step == "fill":
            draw_inputs(net, np.random.RandomState(job["seed"] + about[0]))
        elif step == "forward":
            begin, end = (names.index(each) if each else None for each in about)
            loss = net._forward(first if begin is None else begin, last if end is None else end)
            found[f"{passes} loss"] = np.array(loss, np.float32)
            passes += 1
        elif step == "backward":
            begin, end = (names.index(each) if each else None for each in about)
            net._backward(last if begin is None else begin, first if end is None else end)
        elif step == "look":
            found.update((f"{looks} {key}", each) for key, each in look(net, job["seed"] + looks))
            looks += 1
        elif step == "peek":  # at one blob, without effect
            getattr(net.blobs[about[0]], about[1]).sum()
        elif step == "write":
            name, part, factor = about
            array = getattr(net.blobs[name], part)
            array *= np.random.RandomState(3).randint(0, 2, array.shape) * factor
        elif step == "scale":  # parameters of a layer
            for blob in net.params[about[0]]:
                blob.data[...] *= about[1]
        elif step == "hold":
            held += [array for blob in net.blobs.values() for array in (blob.data, blob.diff)]
        elif step == "let go":
            held.clear()
        elif step == "watch":
            getattr(net, about[0])(lambda index: None)
        elif step == "reshape":
            for name in net.inputs:
                net.blobs[name].reshape(about[0], *net.blobs[name].data.shape[1:])
        elif step == "fuse":
            if hasattr(caffe, "mode"):  # ours
                caffe.mode.set_fusing(about[0])
        else:
            raise ValueError(step)
    return found


def draw_parameters(net: Any, numbers: Any, job: dict[str, Any]) -> None:
    """Statistics of BatchNorm that are possible; factors of Scale as the job says."""
    for layer in net.layers:
        for index, blob in enumerate(layer.blobs):
            drawn = np.asarray(numbers.randn(*blob.data.shape))
            if layer.type == "BatchNorm":
                drawn = [drawn, drawn**2 + 0.5, 2 + 0 * drawn][index]
            elif layer.type == "Scale":
                drawn = (
                    drawn * job["shifts"]
                    if index
                    else drawn * (np.arange(drawn.size).reshape(drawn.shape) >= job["zeros"])
                )
            else:
                drawn *= 0.5
            blob.data[...] = drawn


def draw_inputs(net: Any, numbers: Any) -> None:
    """Labels are classes, all else is normal."""
    for name in net.inputs:
        blob = net.blobs[name]
        if name.startswith("label"):
            blob.data[...] = numbers.randint(0, CLASSES, blob.data.shape)
        else:
            blob.data[...] = 2 * numbers.randn(*blob.data.shape) + 1


def look(net: Any, seed: int) -> Iterator[tuple[str, Any]]:
    """All numbers of blobs and parameters, looked at in an order of its own."""
    ways = [("data " + name, blob, "data") for name, blob in net.blobs.items()]
    ways += [("diff " + name, blob, "diff") for name, blob in net.blobs.items()]
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            ways += [
                (f"parameter {name} {index}", blob, "data"),
                (f"gradient {name} {index}", blob, "diff"),
            ]
    for place in np.random.RandomState(seed).permutation(len(ways)):
        key, blob, part = ways[place]
        yield key, getattr(blob, part).copy()


if __name__ == "__main__":
    import caffe as real_caffe

    everything = {}
    for each in json.loads(Path(sys.argv[1]).read_text()):
        for key, value in run(real_caffe, each).items():
            everything[f"{each['name']}|{key}"] = value
    np.savez(sys.argv[2], **everything)
