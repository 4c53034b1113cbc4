"""A SolverParameter for training from scratch, and the sentences that explain its numbers."""

import math
from dataclasses import dataclass

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.decay import (
    LINEAR,
    Decay,
    epochs_as_iters,
    explain_decay,
    in_epochs,
    in_iterations,
    set_decay,
)
from batchbrew.solver.durations import (
    LARGEST_INT32,
    exact_iterations,
    passes_over,
    passes_per_iteration,
    rounded_iterations,
)
from batchbrew.solver.solver_types import PLAIN_SGD, UpdateRule, set_update_rule

MOST_TESTS = 64  # in a run: once for each epoch of the paper
LONGEST_INTERVAL_ITERS = 5000  # the release's between two snapshots
DISPLAY_ITERS = 20  # the release's
FEWEST_DISPLAYS = 20


@dataclass(frozen=True)
class Rates:
    """What a family of networks is trained with."""

    base_lr: float
    weight_decay: float
    momentum: float | None = 0.9  # None: the solver's type has none


# arXiv 1612.01452, section 3, and the released solvers
ALEXNET_RATES = Rates(base_lr=0.05, weight_decay=5e-4)
VGG19_RATES = Rates(base_lr=0.01, weight_decay=5e-4)
RESNET_RATES = Rates(base_lr=0.1, weight_decay=1e-4)

PAPER_EPOCHS = 64.0
PAPER_BATCH_IMAGES = 256
PAPER_DEVICE_BATCH_IMAGES = 16  # of ResNet and VGG19; AlexNet's is 128


@dataclass(frozen=True)
class TrainingPlan:
    """What a user decides about a training run. Exactly one of `epochs` and `iterations` is given.

    `net` and `snapshot_prefix` are paths seen from the folder in which training will be started. An interval is
    given in iterations, or in epochs, or else chosen from the run's length; `snapshot_iters` 0 means: only at the
    end.
    """

    net: str
    snapshot_prefix: str
    train_images: int
    val_images: int
    batch_images: int
    device_batch_images: int
    val_batch_images: int
    rates: Rates
    epochs: float | None = None
    iterations: int | None = None
    decay: Decay = LINEAR
    rule: UpdateRule = PLAIN_SGD
    test_interval_iters: int | None = None
    test_epochs: float | None = None
    snapshot_iters: int | None = None
    snapshot_epochs: float | None = None
    display_iters: int | None = None
    random_seed: int = 0
    on_gpu: bool = True


def build_solver(plan: TrainingPlan) -> pb.SolverParameter:
    """Unless the plan says otherwise, SGD whose rate falls linearly to 0; a test sees every validation image.

    Raises InputError for a value outside its range, for a batch that is not a multiple of the device's, and for
    what the learning rate's policy or the solver's type cannot do with.
    """
    _check(plan)
    max_iter = _iterations(plan)
    solver = pb.SolverParameter(
        net=plan.net,
        test_iter=[passes_over(plan.val_images, plan.val_batch_images)],
        test_interval=_interval(plan, "test_epochs", plan.test_interval_iters, plan.test_epochs, max_iter),
        test_initialization=False,
        base_lr=plan.rates.base_lr,
        max_iter=max_iter,
        iter_size=passes_per_iteration(plan.batch_images, plan.device_batch_images),
        weight_decay=plan.rates.weight_decay,
        display=_default_display(max_iter) if plan.display_iters is None else plan.display_iters,
        snapshot=_interval(plan, "snapshot_epochs", plan.snapshot_iters, plan.snapshot_epochs, max_iter),
        snapshot_prefix=plan.snapshot_prefix,
        random_seed=plan.random_seed,
        solver_mode=pb.SolverParameter.GPU if plan.on_gpu else pb.SolverParameter.CPU,
    )
    set_update_rule(solver, plan.rule, plan.rates.momentum)
    set_decay(solver, plan.decay, train_images=plan.train_images, batch_images=plan.batch_images)
    return solver


def _iterations(plan: TrainingPlan) -> int:
    if plan.iterations is not None:
        return plan.iterations
    assert plan.epochs is not None
    return rounded_iterations(exact_iterations(plan.epochs, plan.train_images, plan.batch_images))


def _interval(plan: TrainingPlan, name: str, iters: int | None, epochs: float | None, max_iter: int) -> int:
    if iters is not None:
        return iters
    if epochs is not None:
        return epochs_as_iters(name, epochs, plan.train_images, plan.batch_images)
    return _default_interval(plan, max_iter)


def _default_interval(plan: TrainingPlan, max_iter: int) -> int:
    """Between two tests, and two snapshots: an epoch, but at most 5,000 iterations, and 1 to 64 times a run."""
    epoch_iters = math.ceil(exact_iterations(1, plan.train_images, plan.batch_images))
    return min(LONGEST_INTERVAL_ITERS, max_iter, max(epoch_iters, math.ceil(max_iter / MOST_TESTS)))


def _default_display(max_iter: int) -> int:
    return max(1, min(DISPLAY_ITERS, max_iter // FEWEST_DISPLAYS))


def _check(plan: TrainingPlan) -> None:
    assert (plan.epochs is None) != (plan.iterations is None), "one duration, in one unit"
    assert plan.test_interval_iters is None or plan.test_epochs is None
    assert plan.snapshot_iters is None or plan.snapshot_epochs is None
    _check_whole("images to train with", plan.train_images)
    _check_whole("images to validate with", plan.val_images)
    _check_whole("batch", plan.batch_images)
    _check_whole("device batch", plan.device_batch_images)
    _check_whole("validation batch", plan.val_batch_images)
    if plan.iterations is not None:
        _check_whole("iterations", plan.iterations)
    if plan.epochs is not None and not 0 < plan.epochs < math.inf:
        raise InputError(f"epochs must be more than 0, not {plan.epochs:g}")
    if plan.test_interval_iters is not None:  # Caffe refuses a test net without an interval
        _check_whole("test interval", plan.test_interval_iters)
    for name, interval in (
        ("snapshot interval", plan.snapshot_iters),
        ("display interval", plan.display_iters),
    ):
        if interval is not None:
            _check_whole(name, interval, at_least=0)
    _check_whole("seed", plan.random_seed, at_least=-1)
    if not 0 < plan.rates.base_lr < math.inf:
        raise InputError(f"base_lr must be more than 0, not {plan.rates.base_lr:g}")
    if not 0 <= plan.rates.weight_decay < math.inf:
        raise InputError(f"weight decay must be at least 0, not {plan.rates.weight_decay:g}")


def _check_whole(name: str, value: int, at_least: int = 1) -> None:
    if not at_least <= value <= LARGEST_INT32:
        raise InputError(f"{name} must be from {at_least:,} to {LARGEST_INT32:,}, not {value:,}")


def explain(plan: TrainingPlan, solver: pb.SolverParameter) -> list[str]:
    """The arithmetic behind `solver`, in sentences of plain ASCII: a solver.prototxt's header."""
    tested_images = solver.test_iter[0] * plan.val_batch_images
    again = tested_images - plan.val_images
    each = f"{again:,} of them counted again" if again else "each once"
    batches = "1 batch" if solver.test_iter[0] == 1 else f"{solver.test_iter[0]:,} batches"
    return [
        _explain_duration(plan, solver.max_iter),
        f"An iteration: iter_size {solver.iter_size} x {plan.device_batch_images} images on the device "
        f"= {plan.batch_images}, for one update.",
        explain_decay(solver, plan.decay),
        f"A test every {in_iterations(solver.test_interval)}{in_epochs(plan.test_epochs)}: "
        f"{batches} of {plan.val_batch_images} for {plan.val_images:,} images, {each}.",
    ]


def _explain_duration(plan: TrainingPlan, max_iter: int) -> str:
    if plan.epochs is None:
        epochs = max_iter * plan.batch_images / plan.train_images
        return (
            f"Duration: {max_iter:,} iterations x {plan.batch_images} / {plan.train_images:,} images "
            f"= {epochs:.4g} epochs."
        )
    exact = exact_iterations(plan.epochs, plan.train_images, plan.batch_images)
    return (
        f"Duration: {plan.epochs:g} epochs x {plan.train_images:,} images / {plan.batch_images} "
        f"= {exact:,.0f}, as a round number {max_iter:,} iterations."
    )
