"""What is done with a damaged input, in the process that may die of it; and what may come of it."""

import gc
import json
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from batchbrew import caffe
from batchbrew.caffe.layer import StandardLayer
from batchbrew.caffe.net import Net
from batchbrew.caffe.solving.solver import Solver
from batchbrew.caffe.solving.solvers import get_solver
from batchbrew.errors import BatchBrewError

SMALL_NUMBERS = 2**21  # in all blobs of a net that is run
SMALL_WORK = 10**8  # multiply-adds
FEW_PASSES = 4  # for which a solver may ask
LONGEST_TEXT = 1500  # characters of an error
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
CODE = re.compile(r"\b(Traceback|TypeError|ValueError|KeyError|IndexError|AssertionError|AttributeError)\b")

LOADED, REFUSED, VIOLATION = "loaded", "refused", "violation"


class Violation(Exception):
    """An input did what none may do; the text says what."""


def attempt(folder: Path) -> dict[str, Any]:
    """Do the job in `folder`: its outcome, with the error's text or what was violated."""
    os.chdir(folder / "run")
    sys.path.insert(0, str(folder))  # for Python layers
    job = json.loads((folder / "job.json").read_text())
    began = time.process_time()
    result: dict[str, Any] = {"outcome": LOADED, "text": ""}
    try:
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            result["text"] = JOBS[job["do"]](job, dict(arrays))
    except BatchBrewError as error:
        result = {"outcome": REFUSED, "text": str(error)}
        if fault := _fault_of_text(str(error)):
            result = {"outcome": VIOLATION, "text": f"{fault}: {str(error)[:3000]!r}"}
    except Violation as violation:
        result = {"outcome": VIOLATION, "text": str(violation)}
    except BaseException as error:
        result = _other(error, folder)
    sys.path.remove(str(folder))
    sys.modules.pop("parity_layer", None)  # of the Python layers that are drawn
    result["seconds"] = time.process_time() - began
    gc.collect()
    return result


def _other(error: BaseException, folder: Path) -> dict[str, Any]:
    """An exception that no input may cause, unless the input is a Python layer, and raised it itself."""
    frames = traceback.extract_tb(error.__traceback__)
    if frames[-1].filename.startswith(str(folder)):
        return {"outcome": REFUSED, "text": f"a Python layer's own {type(error).__name__}"}
    last = [each for each in frames if "batchbrew" in each.filename or each is frames[-1]][-1]
    where = f"{Path(last.filename).name}:{last.name}"
    trace = "".join(traceback.format_exception(error))[-3000:]
    text = f"{type(error).__name__} in {where}: {str(error)[:300]}"
    return {"outcome": VIOLATION, "text": text, "trace": trace}


def _fault_of_text(text: str) -> str | None:
    """What an error's text lacks or has too much of."""
    if (
        text != text.encode("utf-8", "replace").decode()
        or len(text.splitlines()) != 1
        or CONTROL.search(text)
    ):
        return "the error is not one printable line"
    if len(text) > LONGEST_TEXT:
        return f"the error has {len(text):,} characters"
    if len(text) < 15 or ADDRESS.search(text) or CODE.search(text):
        return "the error is not for users"
    return None


def limit(bytes_more: int, cpu_seconds: int, wall_seconds: int) -> None:
    """Bound what this process may take beyond what it has: memory now, time for the next attempt."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + bytes_more
    if bytes_more:
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # their default action ends the process, wherever it is
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)


def _net(job: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    caffe.set_random_seed(job["seed"])
    net = Net("../net.prototxt", job["phase"])
    if "shapes" in job:
        for name, shape in job["shapes"].items():
            net.blobs[name].reshape(*shape)
        net.reshape()
    if not _is_small(net):
        return "built only"
    _fill(net, arrays, random.Random(job["seed"]))
    for _ in range(job.get("passes", 1)):
        net.forward()
    if job.get("passes", 1) == 1:
        net.backward()
    for name in ("saved.caffemodel", "saved.caffemodel.h5"):
        (net.save if name.endswith("model") else net.save_hdf5)(name)
        net.copy_from(name)
    return "ran"


def _is_small(net: Net) -> bool:
    blobs = [*net.blobs.values(), *(blob for blobs in net.params.values() for blob in blobs)]
    if sum(blob.count for blob in blobs) > SMALL_NUMBERS:
        return False
    work = 0
    for layer, bottom, top in zip(net.layers, net._bottoms, net._tops, strict=True):
        if isinstance(layer, StandardLayer) and bottom:
            work += layer.answer(bottom, top).multiply_adds
    return work <= SMALL_WORK


def _fill(net: Net, arrays: Mapping[str, Any], chance: random.Random) -> None:
    """The inputs with what the sound net was to be given, or with small whole numbers."""
    for name in net.inputs:
        blob, array = net.blobs[name], arrays.get(name)
        if array is not None and prod(array.shape) == blob.count:
            blob.data[...] = array.reshape(blob.shape)
        else:
            blob.data[...] = chance.choice([0, 1, 1, 2])
    for layer in net.layers:
        if layer.type == "MemoryData":
            parameter = layer.layer_param.memory_data_param
            shape = (parameter.batch_size, parameter.channels, parameter.height, parameter.width)
            if layer is net.layers[0]:
                net.set_input_arrays(np.ones(shape, np.float32), np.zeros(shape[0], np.float32))


def _weights(job: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    caffe.set_random_seed(job["seed"])
    net = Net("../net.prototxt", job["phase"])
    with _unchanged_on_refusal(net):
        net.copy_from(job["file"])
    return "taken"


def _train(job: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    solver = get_solver("../solver.prototxt")
    param = solver.param
    if not all(_is_small(net) for net in (solver.net, *solver.test_nets)):
        return "built only"
    if param.iter_size > FEW_PASSES or any(passes > FEW_PASSES for passes in param.test_iter):
        return "built only"
    solver.step(3)
    solver.snapshot()
    for state in Path().rglob("*.solverstate*"):  # unless snapshot_prefix is elsewhere
        solver.restore(state)
    return "ran"


def _restore(job: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    solver = get_solver("../solver.prototxt")
    solver.step(1)
    with _unchanged_on_refusal(solver.net, solver):
        solver.restore(job["file"])
    solver.step(1)
    return "restored"


@contextmanager
def _unchanged_on_refusal(net: Net, solver: Solver | None = None) -> Iterator[None]:
    """Raises Violation where something is refused, and part of it was taken."""

    def numbers() -> list[bytes]:
        blobs = [blob for blobs in net.params.values() for blob in blobs]
        held = [array.tobytes() for blob in blobs for array in (blob.data, blob.diff)]
        if solver is not None:
            held += [blob.data.tobytes() for blob in solver._updater.history]
            held.append(f"{solver.iter} {solver._current_step}".encode())
        return held

    before = numbers()
    try:
        yield
    except BaseException as error:
        if numbers() != before:
            raise Violation(f"half taken, then refused: {type(error).__name__}: {error}") from error
        raise


JOBS = {"net": _net, "weights": _weights, "train": _train, "restore": _restore}
