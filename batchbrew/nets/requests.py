"""From a generator's options to a ModelRequest: looks at the sources, and fills in what was left open."""

import argparse
from collections.abc import Callable
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.nets.generation import LARGEST_CLASSES, ModelRequest, Network, check_range
from batchbrew.nets.inputs import DataSource, SourceKind
from batchbrew.nets.network_options import read_changes
from batchbrew.nets.sources import check_mean_file, count_images, source_kind
from batchbrew.nets.training_options import training_plan
from batchbrew.solver.durations import LARGEST_INT32, even_batch

Warn = Callable[[str], None]

ILSVRC12_CLASSES = 1000
ILSVRC12_IMAGES = {"train": 1_281_167, "val": 50_000}


def read_request(
    options: argparse.Namespace, network: Network, device_batch_images: int, warn: Warn
) -> ModelRequest:
    """What `options` (those of batchbrew.nets.options) ask for.

    `device_batch_images` is what a device takes unless they say otherwise; `warn` is told what was assumed.
    Raises InputError for what cannot be meant.
    """
    check_range("--classes", options.classes, 2, LARGEST_CLASSES)
    check_range("--batch", options.batch, 1, LARGEST_INT32)
    name = _checked_name(options.name or network.name)
    if options.mean_file is not None and not check_mean_file(options.mean_file, options.crop):
        warn(f"{options.mean_file} does not exist yet")
    train_kind, val_kind = (source_kind(path, options.source_type) for path in (options.train, options.val))
    train_root, val_root = _image_roots(options, train_kind, val_kind, warn)
    train_images = _images(options, "train", train_kind, warn)
    val_images = _images(options, "val", val_kind, warn)
    device_batch = _given(options.device_batch, "--device-batch") or min(device_batch_images, options.batch)
    val_batch = _given(options.val_batch, "--val-batch") or even_batch(val_images, device_batch)
    return ModelRequest(
        name=name,
        network=network,
        classes=options.classes,
        crop=options.crop,
        train=DataSource(options.train, train_kind, device_batch, train_root),
        val=DataSource(options.val, val_kind, val_batch, val_root),
        plan=training_plan(
            options,
            name=name,
            train_images=train_images,
            val_images=val_images,
            device_batch_images=device_batch,
            val_batch_images=val_batch,
        ),
        changes=read_changes(options),
    )


def _checked_name(name: str) -> str:
    if Path(name).name != name or name == "..":
        raise InputError(f"--name {name!r} cannot begin the name of a file: choose a plain word")
    return name


def _given(value: int | None, option: str) -> int | None:
    if value is not None:
        check_range(option, value, 1, LARGEST_INT32)
    return value


def _image_roots(
    options: argparse.Namespace, train_kind: SourceKind, val_kind: SourceKind, warn: Warn
) -> tuple[str, str]:
    """The folders before the paths of --train's and --val's lists."""
    train_root = options.image_root or ""
    val_root = train_root if options.val_image_root is None else options.val_image_root
    roots = {"--image-root": options.image_root, "--val-image-root": options.val_image_root}
    for option, root in roots.items():
        of_list = val_kind == "list" or (train_kind == "list" and option == "--image-root")
        if root and not of_list:
            raise InputError(f"{option} {root} is only for image lists: an LMDB holds its images itself")
        if root and not Path(root).is_dir():
            warn(f"{root} is no folder yet")
    return train_root, val_root


def _images(options: argparse.Namespace, split: str, kind: SourceKind, warn: Warn) -> int:
    """How many images --train or --val has: as given, else counted, else, for 1000 classes, ILSVRC12's."""
    path, given = getattr(options, split), _given(getattr(options, f"{split}_images"), f"--{split}-images")
    exists = Path(path).exists()
    counted = count_images(path, kind, options.classes) if exists and given is None else given
    problem = "cannot be counted without the Python package lmdb" if exists else "does not exist yet"
    if counted is None:
        if options.classes != ILSVRC12_CLASSES:
            raise InputError(f"{path} {problem}: say with --{split}-images how many images it has")
        counted = ILSVRC12_IMAGES[split]
        warn(f"{path} {problem}: taken for ILSVRC12's {counted:,} images; if it is not, add --{split}-images")
    elif not exists:
        warn(f"{path} {problem}")
    return counted
