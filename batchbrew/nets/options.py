"""The options that every generator has, in the groups in which --help shows them; training: training_options.py."""

import argparse


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
        "seen from the folder in which training is started; - prints one file instead, and nothing else",
    )
    group.add_argument(
        "--print",
        choices=["train_val", "deploy", "solver"],
        help="which file --out - prints; default: train_val",
    )
