"""The options that every generator has, in the groups in which --help shows them; training: training_options.py."""

import argparse


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
