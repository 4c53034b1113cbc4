"""The options of how a network is trained, and from them to a TrainingPlan."""

import argparse
from pathlib import Path

from batchbrew.nets.model_folder import TRAIN_VAL
from batchbrew.solver.solver import (
    PAPER_BATCH_IMAGES,
    PAPER_DEVICE_BATCH_IMAGES,
    PAPER_EPOCHS,
    Rates,
    TrainingPlan,
)


def training_options(parser: argparse.ArgumentParser, rates: Rates) -> None:
    """How it is trained; `rates` are the family's."""
    group = parser.add_argument_group("training")
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
        help=f"in one forward pass, and in BatchNorm's statistics; default: {PAPER_DEVICE_BATCH_IMAGES}",
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
    group.add_argument(
        "--base-lr", type=float, default=rates.base_lr, metavar="RATE", help=f"default: {rates.base_lr}"
    )
    group.add_argument("--momentum", type=float, default=rates.momentum, help=f"default: {rates.momentum}")
    group.add_argument(
        "--weight-decay", type=float, default=rates.weight_decay, help=f"default: {rates.weight_decay}"
    )
    group.add_argument(
        "--test-interval",
        type=int,
        metavar="ITERATIONS",
        help="default: an epoch, at most 5000, at most 64 tests",
    )
    group.add_argument(
        "--snapshot", type=int, metavar="ITERATIONS", help="default: like --test-interval; 0: at the end"
    )
    group.add_argument("--display", type=int, metavar="ITERATIONS", help="default: 20, fewer in a short run")
    group.add_argument("--seed", type=int, default=0, help="-1 for a new one each time; default: 0")
    mode = group.add_mutually_exclusive_group()
    mode.add_argument("--gpu", action="store_true", help="solver_mode: GPU, the default")
    mode.add_argument("--cpu", action="store_true", help="solver_mode: CPU")


def training_plan(
    options: argparse.Namespace,
    *,
    name: str,
    train_images: int,
    val_images: int,
    device_batch_images: int,
    val_batch_images: int,
) -> TrainingPlan:
    """What `options` say about the training of the network `name`."""
    return TrainingPlan(
        net=str(Path(options.out) / TRAIN_VAL),
        snapshot_prefix=str(Path(options.out) / name),
        train_images=train_images,
        val_images=val_images,
        batch_images=options.batch,
        device_batch_images=device_batch_images,
        val_batch_images=val_batch_images,
        rates=Rates(options.base_lr, options.weight_decay, options.momentum),
        epochs=_epochs(options),
        iterations=options.iterations,
        test_interval_iters=options.test_interval,
        snapshot_iters=options.snapshot,
        display_iters=options.display,
        random_seed=options.seed,
        on_gpu=not options.cpu,
    )


def _epochs(options: argparse.Namespace) -> float | None:
    if options.iterations is not None:
        return None
    return PAPER_EPOCHS if options.epochs is None else float(options.epochs)
