"""The probe: computes cases in whatever engine `import caffe` gives, and writes down all that came of them.

It is run by path, `PYTHON probe.py FOLDER ENGINE CASES_A_PROCESS SETTINGS`, in real Caffe's interpreter (Python 3.6
and up; standard library, numpy and pycaffe alone) and, by `python -m batchbrew.caffe probe.py ...`, in ours: the same
lines for both. SETTINGS is JSON, of which each may be missing: {"gpu": NUMBER, "precision": NAME, "fuses": BOOLEAN};
without a GPU the CPU computes. FOLDER holds a folder for each case (batchbrew/parity/case.py writes them):

    net.prototxt  case.json  arrays.npz   and what files the net reads, which it names as ../NAME

In each, ENGINE is made: the working directory of the case, with `result.json`, `result.npz`, and `log`, what the
engine said. Real Caffe ends its process when it refuses something, and our own might crash: cases are computed in
child processes, so many in each, and one that ended the child is written down as refused, with its last words.
"""

import json
import os
import re
import signal
import sys
from typing import Any, Dict, List

# Run by path, this file's folder comes first, and its modules would hide others of their names.
sys.path[:] = sys.path[1:]
import numpy as np  # noqa: E402

Arrays = Dict[str, Any]

CASE_SECONDS = 120
FATAL = re.compile(r"^F\d{4} [\d:.]+ +\d+ ")  # a line of glog


def compute(caffe: Any, case: Dict[str, Any], arrays: Any, out: Arrays, result: Dict[str, Any]) -> None:
    """Run all passes of a case. Fills `out` with arrays, `result` with how the net is built."""
    stage("build")
    caffe.set_random_seed(case["seed"])
    net = caffe.Net("../net.prototxt", case["phase"])
    result["net"] = structure(net)
    for key in arrays.files:
        words = key.split("|")
        if words[0] == "parameter":
            net.params[words[1]][int(words[2])].data[...] = arrays[key]
    if "memory|data" in arrays.files:
        net.set_input_arrays(arrays["memory|data"], arrays["memory|labels"])
    for number, what in enumerate(case["passes"]):
        run_pass(net, number, what, arrays, out)


def run_pass(net: Any, number: int, what: Dict[str, Any], arrays: Any, out: Arrays) -> None:
    """One forward pass, and a backward one if it is asked for; keys of arrays begin with the pass's number."""
    stage("pass %d, forward" % number)
    if what["clear"]:
        net.clear_param_diffs()
    given = {key.split("|")[2]: arrays[key] for key in arrays.files if key.startswith("%d|data|" % number)}
    for name, array in given.items():  # the forward pass itself reshapes the rest, as every layer's does
        if net.blobs[name].data.shape != array.shape:
            net.blobs[name].reshape(*array.shape)
    for name, array in given.items():
        net.blobs[name].data[...] = array
    out["%d|loss" % number] = np.float64(net._forward(0, len(net.layers) - 1))
    if what["backward"]:
        stage("pass %d, backward" % number)
        for key in arrays.files:
            if key.startswith("%d|diff|" % number):
                net.blobs[key.split("|")[2]].diff[...] = arrays[key]
        net.backward()
        keep(out, "%d|diff" % number, {name: blob.diff for name, blob in net.blobs.items()})
        keep(out, "%d|gradient" % number, parameters(net, "diff"))
    # Not before: where somebody may have written data, ours computes backward layer by layer.
    keep(out, "%d|data" % number, {name: blob.data for name, blob in net.blobs.items()})
    keep(out, "%d|parameter" % number, parameters(net, "data"))


def parameters(net: Any, attribute: str) -> Arrays:
    return {
        "%s|%d" % (name, index): getattr(blob, attribute)
        for name, blobs in net.params.items()
        for index, blob in enumerate(blobs)
    }


def keep(out: Arrays, prefix: str, arrays: Arrays) -> None:
    for name, array in arrays.items():
        out["%s|%s" % (prefix, name)] = np.array(array)


def structure(net: Any) -> Dict[str, Any]:
    """All that a net tells of itself, lists where the order matters."""
    return {
        "layers": [[name, layer.type] for name, layer in zip(net._layer_names, net.layers)],
        "blobs": list(net._blob_names),
        "parameters": [[name, [list(blob.shape) for blob in blobs]] for name, blobs in net.params.items()],
        "inputs": list(net.inputs),
        "outputs": list(net.outputs),
        "tops": {name: list(net.top_names[name]) for name in net._layer_names},
        "bottoms": {name: list(net.bottom_names[name]) for name in net._layer_names},
        "loss_weights": {name: float(weight) for name, weight in net.blob_loss_weights.items()},
    }


def stage(name: str) -> None:
    """Leave word in the log how far this case has come."""
    os.write(2, ("@stage %s\n" % name).encode())


def stage_in(log: str) -> str:
    stages = [line[len("@stage ") :] for line in log.splitlines() if line.startswith("@stage ")]
    return stages[-1] if stages else "start"


def run_case(caffe: Any, folder: str, engine: str) -> None:
    """Compute the case in `folder` and write its result. May not return."""
    os.chdir(os.path.join(folder, engine))
    os.dup2(os.open("log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND), 2)
    signal.alarm(CASE_SECONDS)
    with open("../case.json") as file:
        case = json.load(file)
    out: Arrays = {}
    result: Dict[str, Any] = {}
    sys.path.insert(0, folder)  # modules of Python layers
    try:
        with np.load("../arrays.npz", allow_pickle=False) as arrays:
            compute(caffe, case, arrays, out, result)
    except Exception as error:
        with open("log") as file:
            reached = stage_in(file.read())
        kinds = [each.__name__ for each in type(error).__mro__]
        result["refused"] = {"kinds": kinds, "text": str(error), "stage": reached}
    finally:
        sys.path.remove(folder)
    np.savez("result.npz", **out)
    write_result(".", result)


def write_result(folder: str, result: Dict[str, Any]) -> None:
    path = os.path.join(folder, "result.json")
    with open(path + ".new", "w") as file:
        json.dump(result, file)
    os.rename(path + ".new", path)


def write_last_words(folder: str, engine: str, status: int) -> None:
    """Say in its place what became of a case that ended its process."""
    with open(os.path.join(folder, engine, "log"), errors="replace") as file:
        log = file.read()
    fatal = [line for line in log.splitlines() if FATAL.match(line)]
    ended = "signal %d" % (status & 127) if status & 127 else "exit %d" % (status >> 8)
    if fatal:
        kinds, text = [ended], FATAL.sub("", fatal[-1])
    else:
        last = [line for line in log.splitlines() if line and not line.startswith("@")][-1:]
        kinds, text = ["crash", ended], " ".join([ended, *last])
    refused = {"kinds": kinds, "text": text, "stage": stage_in(log)}
    write_result(os.path.join(folder, engine), {"refused": refused})


def set_up(caffe: Any, settings: Dict[str, Any]) -> None:
    """Say how to compute. What real Caffe does not have nobody should ask it for: that is an AttributeError."""
    if "gpu" in settings:
        caffe.set_device(settings["gpu"])
        caffe.set_mode_gpu()
    if "precision" in settings:
        caffe.set_precision(settings["precision"])
    if "fuses" in settings:
        caffe.set_fusing(settings["fuses"])


def run_some(caffe: Any, folders: List[str], engine: str, settings: Dict[str, Any]) -> int:
    """Compute the first cases of `folders` in a child process; returns how many of them are done with."""
    child = os.fork()
    if child == 0:
        try:
            set_up(caffe, settings)  # in the child: what has begun to use a GPU cannot be forked
            for folder in folders:
                run_case(caffe, folder, engine)
            os._exit(0)  # a Caffe built with Boost.Python can crash while the interpreter tears its nets down
        except BaseException:
            sys.excepthook(*sys.exc_info())
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    for done, folder in enumerate(folders):
        if not os.path.exists(os.path.join(folder, engine, "result.json")):
            write_last_words(folder, engine, status)
            return done + 1
    return len(folders)


def main() -> None:
    import caffe

    root, engine, cases_a_process = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    settings = json.loads(sys.argv[4])
    folders = [os.path.join(root, name) for name in sorted(os.listdir(root))]
    folders = [folder for folder in folders if os.path.exists(os.path.join(folder, "case.json"))]
    for folder in folders:
        os.makedirs(os.path.join(folder, engine))
        open(os.path.join(folder, engine, "log"), "w").close()
    done = 0
    while done < len(folders):
        done += run_some(caffe, folders[done : done + cases_a_process], engine, settings)
    types = list(caffe.layer_type_list())
    print(json.dumps({"cases": len(folders), "layer_types": types, "file": caffe.__file__}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
