"""A subject that only reads: batches of a Data layer, in real Caffe or in ours, or of a PyTorch DataLoader.

Its argument is a JSON object: `net`, a prototxt with nothing but a Data layer; or `loader`, the number of workers of a
DataLoader, with `lmdb`, `batch`, `crop` and `means`. Each request, a line `{"lead_in": N, "steps": N}`, is for so
many batches. Python 3.6 and up; standard library and that Caffe, or PyTorch with OpenCV and lmdb.
"""

import json
import os
import sys
import time
from typing import Any, Callable, Dict, List

HERTZ = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Open what the job names, and serve."""
    job = json.loads(sys.argv[1])
    serve(loader_reading(job) if "loader" in job else layer_reading(job))


def layer_reading(job: Dict[str, Any]) -> Callable[[], object]:
    """A function that has a Data layer give its next batch, as training does: nobody looks at it as a numpy array.

    (The engine would lay it out anew for that, as its layers take another layout than Caffe's.)
    """
    import caffe

    caffe.set_mode_cpu()
    caffe.set_random_seed(1)
    net = caffe.Net(job["net"], caffe.TRAIN)
    last = len(net.layers) - 1
    return lambda: net._forward(0, last)


def loader_reading(job: Dict[str, Any]) -> Callable[[], object]:
    """A function that takes the next batch of a DataLoader."""
    from plain_loader import batches

    batch = iter(batches(job))
    return lambda: next(batch)


def serve(read: Callable[[], object]) -> None:
    """Answer requests with the seconds, and the seconds on cores, of this process and those that work for it."""
    read()
    print("{}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        for _ in range(request["lead_in"]):
            read()
        begin, begun = time.perf_counter(), core_seconds()
        for _ in range(request["steps"]):
            read()
        seconds, on_cores = time.perf_counter() - begin, core_seconds() - begun
        print(json.dumps({"seconds": seconds, "core_seconds": on_cores, "loss": 0.0}), flush=True)
    os._exit(0)  # a Caffe built with Boost.Python can crash while the interpreter tears its nets down


def core_seconds() -> float:
    """Of all threads of this process, and of its workers."""
    return time.process_time() + sum(map(seconds_of_process, children()))


def children() -> List[str]:
    """The processes that this one's threads have started and that live."""
    found = []  # type: List[str]
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children") as file:
            found += file.read().split()
    return found


def seconds_of_process(process: str) -> float:
    """Of one, to a hundredth."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


if __name__ == "__main__":
    main()
