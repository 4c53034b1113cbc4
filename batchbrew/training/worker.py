"""The worker: holds a Caffe engine, does one job, reports events. It decides nothing.

It is run by path, `PYTHON worker.py <JOB`, in whatever interpreter a Caffe comes with (Python 3.6 and up), so
it imports the standard library, numpy and pycaffe alone. The job (JSON) names the file descriptor to which
events go, one JSON object a line; Caffe's own log goes to standard error. Caffe ends the process (SIGABRT)
on a bad file: that, too, is the supervisor's to explain.

Events of a training job, in this order for every iteration: `iteration` (loss of the iteration that is about
to be applied) and, where a snapshot was written after it, `snapshot`. So every loss that went into a snapshot
is known before the snapshot is. The last snapshot, which no iteration follows, comes after `last_loss`, that of
one more forward pass. On a GPU the losses of several iterations may come together, yet before the snapshot.
"""

import ctypes
import json
import os
import signal
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

# Run by path, this file's folder comes first, and its modules would hide others of their names. The modules of
# a net's Python layers are looked for where the run was begun.
sys.path[:] = [*sys.path[1:], os.getcwd()]
NO_PYCAFFE = "pycaffe cannot be imported: %s"
try:
    import numpy as np
except ImportError as error:  # no pycaffe works without it
    sys.exit(NO_PYCAFFE % error)

PR_SET_PDEATHSIG = 1
LOSSES_EVERY_SECONDS = 0.2
Job = Dict[str, Any]
Report = Callable[..., None]


class Stopped(Exception):
    """Unwinds the solver's loop when the supervisor asked for an end."""


class Reporter:
    """Writes events to the supervisor; a supervisor that is gone ends the worker."""

    def __init__(self, descriptor: int) -> None:
        self._stream = os.fdopen(descriptor, "w")

    def __call__(self, event: str, **fields: Any) -> None:
        try:
            self._stream.write(json.dumps(dict(fields, event=event)) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            os._exit(1)


def die_with(supervisor_pid: int) -> None:
    """Have the kernel kill this process when the supervisor dies, so that no orphan trains on."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):  # not Linux: the broken event pipe ends the worker instead
        return
    try:
        os.kill(supervisor_pid, 0)  # it may have died before the kernel was asked
    except OSError:
        os._exit(1)


def start_caffe(job: Job) -> Any:
    """Import pycaffe, its log on standard error, and select the device."""
    try:
        import caffe
    except ImportError as error:
        sys.exit(NO_PYCAFFE % error)

    try:
        caffe.init_log(0, True)
    except (AttributeError, TypeError):  # other pycaffes: GLOG_logtostderr in the environment does it
        pass
    if job.get("gpu") is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(job["gpu"])
        caffe.set_mode_gpu()
    precision = job.get("precision", "fp32")
    if hasattr(caffe, "set_precision"):
        caffe.set_precision(precision)
    elif precision != "fp32":
        sys.exit("this Caffe computes in fp32 alone, not in %s" % precision)
    return caffe


class Losses:
    """Reports what the losses of a training net add up to, for each iteration.

    A loss on a GPU is there when the GPU has come so far, and whoever asks for it waits. So there, in our own engine,
    whose tensors can be asked for later, some are kept and asked for together.
    """

    def __init__(self, net: Any, weights: Dict[str, float], report: Report, at_once: bool) -> None:
        self._report = report
        self._losses = [(weight, net.blobs[name]) for name, weight in weights.items()]
        self._at_once = at_once
        self._kept = []  # type: List[Tuple[int, List[Tuple[float, Any]]]]
        self._reported = time.time()

    def now(self) -> str:
        """The loss of the last forward pass."""
        return self._written(self._parts())

    def keep(self, iteration: int) -> None:
        """Take the loss of an iteration, to report it soon."""
        self._kept.append((iteration, self._parts()))
        if self._at_once or time.time() - self._reported > LOSSES_EVERY_SECONDS:
            self.report()

    def report(self) -> None:
        """Report all that is kept."""
        for iteration, parts in self._kept:
            self._report("iteration", iteration=iteration, loss=self._written(parts))
        self._kept = []
        self._reported = time.time()

    def _parts(self) -> List[Tuple[float, Any]]:
        return [
            (weight, (blob.data_tensor if hasattr(blob, "data_tensor") else blob.data).sum())
            for weight, blob in self._losses
        ]

    @staticmethod
    def _written(parts: List[Tuple[float, Any]]) -> str:
        return repr(sum(weight * float(number) for weight, number in parts))


def train(job: Job, report: Report) -> None:
    """Run a solver from where it stands to its end, or until SIGTERM or SIGINT asks for a snapshot and an end."""
    caffe = start_caffe(job)
    solver = caffe.get_solver(job["solver"])
    if hasattr(solver, "keep_blobs"):
        solver.keep_blobs = False  # none is looked at but the losses, and memory is short
    if not hasattr(solver, "add_callback"):
        sys.exit("this pycaffe has no Solver.add_callback, BVLC Caffe 1.0 has: train with that")
    net = solver.net
    for weights in job["weights"]:
        for each in [net, *solver.test_nets]:
            each.copy_from(weights)
    losses = {name: weight for name, weight in net.blob_loss_weights.items() if weight}
    classes, softmax_weight = softmax_losses(net, losses)
    if job["solverstate"]:
        solver.restore(job["solverstate"])
    report(
        "started",
        pid=os.getpid(),
        iteration=solver.iter,
        caffe=getattr(caffe, "__version__", "unknown"),
        classes=classes,
        loss_weight=softmax_weight,
        batch_size=batch_size_of(net),
        parameters=int(sum(blob.data.size for blobs in net.params.values() for blob in blobs)),
    )
    shuffle(net, job.get("shuffle"))
    skip_batches(net, job["skip_batches"], report)

    asked_to_stop: List[int] = []
    for asking in (signal.SIGTERM, signal.SIGINT):  # also where they were ignored when the run was begun
        signal.signal(asking, lambda number, frame: asked_to_stop.append(number))
    first_iteration = solver.iter
    interval, prefix = job["snapshot"], job["snapshot_prefix"]
    kept = Losses(net, losses, report, at_once=job.get("gpu") is None)

    def report_snapshot(iteration: int) -> None:
        kept.report()
        stem = "%s_iter_%d" % (prefix, iteration)
        report("snapshot", iteration=iteration, model=stem + ".caffemodel", state=stem + ".solverstate")

    def before_iteration() -> None:
        iteration = solver.iter
        if iteration > first_iteration and interval and iteration % interval == 0:
            report_snapshot(iteration)
        if asked_to_stop:
            if iteration > first_iteration and not (interval and iteration % interval == 0):
                solver.snapshot()
                report_snapshot(iteration)
            raise Stopped()

    solver.add_callback(before_iteration, lambda: kept.keep(solver.iter))
    try:
        solver.solve()
    except Stopped:
        kept.report()
        report("stopped", iteration=solver.iter)
        return
    kept.report()
    net.forward()
    report("last_loss", loss=kept.now())
    report_snapshot(solver.iter)
    report("finished", iteration=solver.iter)


def softmax_losses(net: Any, losses: Dict[str, float]) -> Tuple[Optional[int], float]:
    """The number of classes and the summed weights of a net's losses, if all of them are SoftmaxWithLoss.

    The weight is 0 if one is of another kind; the number is None, too, where they judge different classes.
    """
    classes = set()
    for name, layer in zip(net._layer_names, net.layers):
        if any(top in losses for top in net.top_names[name]):
            if layer.type != "SoftmaxWithLoss":
                return None, 0.0
            classes.add(int(shape_of(net.blobs[net.bottom_names[name][0]])[1]))
    return classes.pop() if len(classes) == 1 else None, sum(losses.values())


def batch_size_of(net: Any) -> Optional[int]:
    """Images a forward pass takes: the first dimension of what the first data layer gives."""
    for name in net._layer_names:
        if not net.bottom_names[name] and net.top_names[name]:
            shape = shape_of(net.blobs[net.top_names[name][0]])
            return int(shape[0]) if shape else None
    return None


def shape_of(blob: Any) -> Tuple[int, ...]:
    """The lengths of its axes, if possible without having memory made for its numbers."""
    return tuple(blob.shape) if hasattr(blob, "shape") else blob.data.shape


def shuffle(net: Any, seed: Optional[int]) -> None:
    """Have the net's data layers draw a new order for each epoch; real Caffe's cannot."""
    if seed is not None:
        layers = [layer for layer in net.layers if hasattr(layer, "shuffle")]
        if not layers:
            sys.exit("--shuffle: this net has no layer that reads records in an order (Data, ImageData)")
        for layer in layers:
            layer.shuffle(seed)


def skip_batches(net: Any, count: int, report: Report) -> None:
    """Read and drop `count` batches of the training data, so that the run goes on at another record."""
    if not count:
        return
    layers = [i for i, name in enumerate(net._layer_names) if not net._bottom_ids(i)]
    for index in [
        i for i in layers if hasattr(net.layers[i], "skip")
    ]:  # ours: it need not read what is dropped
        net.layers[index].skip(count)
        layers.remove(index)
    if not layers:
        return
    for done in range(count):
        for index in layers:
            net._forward(index, index)
        if done % 50 == 49 or done + 1 == count:
            report("skipping", done=done + 1, of=count)


def test(job: Job, report: Report) -> None:
    """Count, over the first `images` images of a net's own test data, how often the label is in the top k.

    The label is in the top k when fewer than k other classes score at least as much, as the Accuracy layer of
    Debian's Caffe has it (of classes that score the same, none is right; in the release of 2017 the last one is).
    Accuracy and loss layers are not run: with a label that is no class they read beyond the scores.
    """
    caffe = start_caffe(job)
    net = caffe.Net(job["net"], job["weights"], caffe.TEST)
    score_name, label_name, images = job["score"], job["label"], job["images"]
    types = {name: layer.type for name, layer in zip(net._layer_names, net.layers)}
    report("loaded", layers=[[name, types[name]] for name in net.params])
    tops = [net.top_names[name] for name in net._layer_names]
    last = max(index for index, names in enumerate(tops) if score_name in names or label_name in names)
    correct = dict.fromkeys(job["top_k"], 0)
    per_label: Dict[int, int] = {}
    done = 0
    while done < images:
        net._forward(0, last)
        scores = net.blobs[score_name].data
        labels = net.blobs[label_name].data.reshape(-1).astype(int)
        if scores.ndim < 2 or scores.size != scores.shape[0] * scores.shape[1] or len(labels) != len(scores):
            report("no_classifier", scores=list(scores.shape), labels=len(labels))
            return
        scores = scores.reshape(len(labels), -1)
        take = min(len(labels), images - done)
        scores, labels = scores[:take], labels[:take]
        classes = scores.shape[1]
        if labels.min() < 0 or labels.max() >= classes:
            wrong = int(labels.min() if labels.min() < 0 else labels.max())
            report("bad_label", label=wrong, classes=classes)
            return
        if not np.isfinite(scores).all():
            report("not_finite", image=done)
            return
        own = scores[np.arange(take), labels][:, np.newaxis]
        rank = (scores >= own).sum(axis=1) - 1
        for k in correct:
            correct[k] += int((rank < k).sum())
        for label in labels:
            per_label[int(label)] = per_label.get(int(label), 0) + 1
        done += take
        report("tested", done=done, of=images)
    report("result", images=done, classes=classes, correct=correct, labels=per_label)


def probe(job: Job, report: Report) -> None:
    """Say what this engine is; on a Caffe without GPU support, asking for a GPU ends the process."""
    caffe = start_caffe(job)
    report(
        "engine",
        caffe=getattr(caffe, "__version__", "unknown"),
        file=caffe.__file__,
        python=".".join(map(str, sys.version_info[:3])),
        numpy=np.__version__,
        layers=len(caffe.layer_type_list()),
        nccl=bool(caffe.has_nccl()) if hasattr(caffe, "has_nccl") else False,
    )


def main() -> None:
    """Do the job that standard input describes."""
    job = json.load(sys.stdin)
    die_with(job["supervisor_pid"])
    report = Reporter(job["events_descriptor"])
    tasks: Dict[str, Callable[[Job, Report], None]] = {"train": train, "test": test, "probe": probe}
    tasks[job["task"]](job, report)
    sys.stdout.flush()
    # A Caffe built with Boost.Python can crash while the interpreter tears its nets down; the work is done.
    os._exit(0)


if __name__ == "__main__":
    main()
