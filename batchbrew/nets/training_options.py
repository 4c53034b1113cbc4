"""The options of how a network is trained, and from them to a TrainingPlan."""

import argparse
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.nets.model_folder import TRAIN_VAL
from batchbrew.solver.decay import PARAMETERS, Decay
from batchbrew.solver.solver import (
    PAPER_BATCH_IMAGES,
    PAPER_DEVICE_BATCH_IMAGES,
    PAPER_EPOCHS,
    Rates,
    TrainingPlan,
)
from batchbrew.solver.solver_types import NUMBERS, WITH_RATES_OF_SGD, UpdateRule, takes_momentum


def training_options(
    parser: argparse.ArgumentParser, rates: Rates, device_batch_images: int = PAPER_DEVICE_BATCH_IMAGES
) -> None:
    """How it is trained; `rates` and `device_batch_images` are the family's."""
    group = parser.add_argument_group("training")
    parser.set_defaults(family_rates=rates)
    group.add_argument(
        "--batch",
        type=int,
        default=PAPER_BATCH_IMAGES,
        metavar="IMAGES",
        help=f"for one update; default: {PAPER_BATCH_IMAGES}",
    )
    group.add_argument(
        "--device-batch",
        type=int,
        metavar="IMAGES",
        help=f"in one forward pass, and in BatchNorm's statistics; default: {device_batch_images}",
    )
    group.add_argument(
        "--val-batch",
        type=int,
        metavar="IMAGES",
        help="default: up to --device-batch, dividing the images evenly",
    )
    duration = group.add_mutually_exclusive_group()
    duration.add_argument("--epochs", type=float, help=f"default: {PAPER_EPOCHS:g}")
    duration.add_argument("--iterations", type=int, metavar="N", help="instead of --epochs")
    _update_options(group, rates)
    _decay_options(group)
    _interval_options(group)
    group.add_argument("--display", type=int, metavar="ITERATIONS", help="default: 20, fewer in a short run")
    group.add_argument("--seed", type=int, default=0, help="-1 for a new one each time; default: 0")
    mode = group.add_mutually_exclusive_group()
    mode.add_argument("--gpu", action="store_true", help="solver_mode: GPU, the default")
    mode.add_argument("--cpu", action="store_true", help="solver_mode: CPU")


def _update_options(group: argparse._ArgumentGroup, rates: Rates) -> None:
    group.add_argument("--base-lr", type=float, metavar="RATE", help=f"default: {rates.base_lr}")
    group.add_argument("--momentum", type=float, help=f"default: {rates.momentum}; Adam's beta1")
    group.add_argument(
        "--weight-decay", type=float, default=rates.weight_decay, help=f"default: {rates.weight_decay}"
    )
    group.add_argument("--solver-type", choices=list(NUMBERS), default="SGD", help="default: SGD")
    group.add_argument("--momentum2", type=float, metavar="BETA2", help="of Adam; default: Caffe's, 0.999")
    group.add_argument("--rms-decay", type=float, metavar="D", help="of RMSProp; default: Caffe's, 0.99")
    group.add_argument(
        "--delta", type=float, help="of AdaGrad, RMSProp, AdaDelta and Adam; default: Caffe's, 1e-8"
    )


def _decay_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--lr-policy",
        choices=list(PARAMETERS),
        default="poly",
        help="how the learning rate changes; default: poly, which with --power 1 is a straight line to 0",
    )
    group.add_argument("--power", type=float, help="of poly (default: 1) and inv")
    group.add_argument("--gamma", type=float, help="of step, multistep, exp, inv and sigmoid")
    steps = group.add_mutually_exclusive_group()
    steps.add_argument("--stepsize", type=int, metavar="ITERATIONS", help="of step and sigmoid")
    steps.add_argument(
        "--stepvalue",
        type=int,
        action="append",
        metavar="ITERATION",
        help="of multistep: when the rate is multiplied by --gamma; may be repeated",
    )
    steps.add_argument(
        "--step-epochs",
        type=float,
        action="append",
        metavar="EPOCHS",
        help="instead of --stepsize or --stepvalue; may be repeated for multistep",
    )


def _interval_options(group: argparse._ArgumentGroup) -> None:
    tests = group.add_mutually_exclusive_group()
    tests.add_argument(
        "--test-interval",
        type=int,
        metavar="ITERATIONS",
        help="default: an epoch, at most 5000, at most 64 tests",
    )
    tests.add_argument("--test-epochs", type=float, metavar="EPOCHS", help="instead of --test-interval")
    snapshots = group.add_mutually_exclusive_group()
    snapshots.add_argument(
        "--snapshot", type=int, metavar="ITERATIONS", help="default: an epoch, as for tests; 0: at the end"
    )
    snapshots.add_argument("--snapshot-epochs", type=float, metavar="EPOCHS", help="instead of --snapshot")


def training_plan(
    options: argparse.Namespace,
    *,
    name: str,
    train_images: int,
    val_images: int,
    device_batch_images: int,
    val_batch_images: int,
) -> TrainingPlan:
    """What `options` say about the training of the network `name`.

    Raises InputError where a default of SGD's would be used for a type of solver that it does not fit.
    """
    return TrainingPlan(
        net=str(Path(options.out) / TRAIN_VAL),
        snapshot_prefix=str(Path(options.out) / name),
        train_images=train_images,
        val_images=val_images,
        batch_images=options.batch,
        device_batch_images=device_batch_images,
        val_batch_images=val_batch_images,
        rates=_rates(options),
        epochs=_epochs(options),
        iterations=options.iterations,
        decay=Decay(
            policy=options.lr_policy,
            power=options.power,
            gamma=options.gamma,
            stepsize_iters=options.stepsize,
            stepvalue_iters=tuple(options.stepvalue or ()),
            step_epochs=tuple(options.step_epochs or ()),
        ),
        rule=UpdateRule(options.solver_type, options.momentum2, options.rms_decay, options.delta),
        test_interval_iters=options.test_interval,
        test_epochs=options.test_epochs,
        snapshot_iters=options.snapshot,
        snapshot_epochs=options.snapshot_epochs,
        display_iters=options.display,
        random_seed=options.seed,
        on_gpu=not options.cpu,
    )


def _rates(options: argparse.Namespace) -> Rates:
    family: Rates = options.family_rates
    base_lr, momentum = options.base_lr, options.momentum
    if base_lr is None:
        if options.solver_type not in WITH_RATES_OF_SGD:
            raise InputError(
                f"--solver-type {options.solver_type} needs --base-lr: the default, {family.base_lr:g}, is for SGD"
            )
        base_lr = family.base_lr
    if momentum is None and takes_momentum(options.solver_type):
        momentum = family.momentum
    return Rates(base_lr, options.weight_decay, momentum)


def _epochs(options: argparse.Namespace) -> float | None:
    if options.iterations is not None:
        return None
    return PAPER_EPOCHS if options.epochs is None else float(options.epochs)
