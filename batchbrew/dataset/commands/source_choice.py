"""Which source the options of `batchbrew lmdb build` name."""

from dataclasses import dataclass
from pathlib import Path

from batchbrew.dataset.progress import reporting
from batchbrew.dataset.sources import Source, open_archive, open_csv, open_folder, open_ilsvrc, open_list
from batchbrew.dataset.sources.ilsvrc import images_place
from batchbrew.errors import InputError

WAYS = "--list FILE with --images DIR, --csv FILE, --folder DIR, --ilsvrc-train PATH, --ilsvrc-val PATH or --tar FILE"


@dataclass(frozen=True)
class SourceChoice:
    """The options, as given."""

    images: Path | None = None
    list_file: Path | None = None
    csv: Path | None = None
    folder: Path | None = None
    tar: Path | None = None
    ilsvrc_train: Path | None = None
    ilsvrc_val: Path | None = None
    devkit: Path | None = None
    labels: Path | None = None
    """Of --ilsvrc-val: a list, as Caffe's val.txt."""
    classes: Path | None = None
    """A class name a line."""


def open_source(choice: SourceChoice) -> Source:
    """Raises InputError as `check_choice`, and for a source that cannot be used."""
    check_choice(choice)
    return _opened(choice)


def check_choice(choice: SourceChoice) -> None:
    """Raises InputError unless exactly one source is named, with what it needs."""
    named = {
        "--list": choice.list_file,
        "--csv": choice.csv,
        "--folder": choice.folder,
        "--tar": choice.tar,
        "--ilsvrc-train": choice.ilsvrc_train,
        "--ilsvrc-val": choice.ilsvrc_val,
    }
    given = [option for option, value in named.items() if value is not None]
    if not given:
        raise InputError(f"no images are named: give {WAYS}")
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} are given: choose one way to name the images")
    _check_companions(choice, given[0])


def check_outside(out: Path, choice: SourceChoice) -> None:
    """Raises InputError if `out` is, or is in, a folder whose folders are looked through for classes and images."""
    given = {
        "--folder": choice.folder,
        "--ilsvrc-train": choice.ilsvrc_train and images_place(choice.ilsvrc_train, "train"),
        "--ilsvrc-val": choice.ilsvrc_val and images_place(choice.ilsvrc_val, "val"),
    }
    for option, folder in given.items():
        if folder is not None and folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"--out {out} is in the folder of the images ({option} {folder}), of which it would become a part: "
                "choose a place outside"
            )


def _check_companions(choice: SourceChoice, given: str) -> None:
    """Options that say more of a source belong to some sources only."""
    companions = {
        "--images": (choice.images, ("--list", "--csv")),
        "--devkit": (choice.devkit, ("--ilsvrc-val",)),
        "--labels": (choice.labels, ("--ilsvrc-val",)),
    }
    for option, (value, owners) in companions.items():
        if value is not None and given not in owners:
            raise InputError(
                f"{option} goes with {' or '.join(owners)}, not with {given}: choose one way to name the images"
            )
    if choice.list_file is not None and choice.images is None:
        raise InputError("--list is given without --images: name the folder that the list's paths start from")


def _opened(choice: SourceChoice) -> Source:
    if choice.list_file is not None:
        assert choice.images is not None
        return open_list(choice.list_file, choice.images)
    if choice.csv is not None:
        return open_csv(choice.csv, choice.images or choice.csv.parent)
    if choice.folder is not None:
        return open_folder(choice.folder)
    archive = choice.tar or choice.ilsvrc_train or choice.ilsvrc_val
    assert archive is not None
    with reporting(f"looking through {archive}", things="MB") as meter:

        def progress(_: int, passed_bytes: int, total_bytes: int) -> None:
            meter(passed_bytes // 10**6, total_bytes // 10**6, 0)

        if choice.tar is not None:
            return open_archive(archive, progress)
        which = "train" if choice.ilsvrc_train is not None else "val"
        return open_ilsvrc(archive, which, choice.devkit, choice.labels, progress)
