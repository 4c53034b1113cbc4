"""The options that every generator has, in the groups in which --help shows them."""

import argparse

from batchbrew.solver.solver import PAPER_BATCH_IMAGES, PAPER_DEVICE_BATCH_IMAGES, PAPER_EPOCHS, Rates


def network_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What the network is; a family adds its own options to the group that is returned."""
    group = parser.add_argument_group("network")
    group.add_argument("--classes", type=int, default=1000, metavar="N", help="default: 1000")
    group.add_argument(
        "--crop", type=int, default=224, metavar="PIXELS", help="side of its input; default: 224"
    )
    group.add_argument(
        "--global-stats",
        action="store_true",
        help="write use_global_stats: true into every BatchNorm: for fine-tuning with a small device batch",
    )
    group.add_argument(
        "--bn-fraction",
        type=float,
        metavar="F",
        help="moving_average_fraction of every BatchNorm, Caffe's default being 0.999; a training of less than a "
        "few thousand iterations needs less, 0.95 say, or it is tested with stale statistics",
    )
    group.add_argument("--name", help="of the network and its snapshots; default: family and depth")
    return group


def data_options(parser: argparse.ArgumentParser) -> None:
    """Where images come from."""
    group = parser.add_argument_group("images", "A SOURCE is an LMDB folder or an image list (path label).")
    group.add_argument("--train", required=True, metavar="SOURCE", help="images to train with")
    group.add_argument("--val", required=True, metavar="SOURCE", help="images to validate with")
    group.add_argument(
        "--source-type",
        choices=["lmdb", "list"],
        help="what a SOURCE is, where neither it nor its name tells",
    )
    group.add_argument(
        "--image-root", metavar="DIR", help="folder to which the paths in image lists are relative"
    )
    group.add_argument("--val-image-root", metavar="DIR", help="the same for --val; default: --image-root")
    group.add_argument("--train-images", type=int, metavar="N", help="default: counted")
    group.add_argument("--val-images", type=int, metavar="N", help="default: counted")


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


def output_options(parser: argparse.ArgumentParser) -> None:
    """Where the files go."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder for the three files; solver.prototxt names it as it is given here, so a relative DIR is "
        "seen from the folder in which training is started",
    )
