"""Trains for some iterations in whatever engine `import caffe` gives, and writes down every loss.

It is run by path, `PYTHON training_probe.py JOB.json`, in real Caffe's interpreter (Python 3.6 and up; standard
library, numpy and pycaffe alone) and in ours. The job names `solver`, `state` (a solverstate to begin from, or
null), `iterations`, `threads` and `losses`, the file that gets a list of numbers; the snapshot of the end is where
the solver's snapshot_prefix says. It is begun in the folder that the solver's paths begin at.
"""

import json
import os
import sys
import time

# Run by path, this file's folder comes first, and its modules would hide others of their names.
sys.path[:] = sys.path[1:]


def main() -> None:
    """Do the job."""
    with open(sys.argv[1]) as file:  # noqa: PTH123
        job = json.load(file)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(job["threads"])
    import caffe

    caffe.set_mode_cpu()
    caffe.set_random_seed(1)
    solver = caffe.get_solver(job["solver"])
    if job["state"]:
        solver.restore(job["state"])
    weights = {name: weight for name, weight in solver.net.blob_loss_weights.items() if weight}
    losses = []

    def keep() -> None:
        blobs = solver.net.blobs
        losses.append(sum(weight * float(blobs[name].data.sum()) for name, weight in weights.items()))

    solver.add_callback(lambda: None, keep)
    begin = time.time()
    solver.step(job["iterations"])
    seconds = time.time() - begin
    solver.snapshot()
    with open(job["losses"], "w") as file:  # noqa: PTH123
        json.dump({"losses": losses, "seconds": seconds}, file)
    sys.stdout.flush()
    os._exit(0)  # a Caffe built with Boost.Python can crash while the interpreter tears its nets down


if __name__ == "__main__":
    main()
