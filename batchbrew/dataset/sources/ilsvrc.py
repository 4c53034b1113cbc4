"""ILSVRC2012, the ImageNet of Caffe's networks, in the forms in which people have it.

A label is the place of a synset (n01440764, ...) among all of them, sorted: 0 to 999, as in Caffe's train.txt
and val.txt and in torchvision.
"""

import re
from pathlib import Path

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources.archives import open_archive, open_class_archives
from batchbrew.dataset.sources.devkit import (
    ARCHIVE,
    CLASSES,
    FOLDER,
    GROUND_TRUTH,
    META,
    SYNSET,
    Devkit,
    read_devkit,
)
from batchbrew.dataset.sources.entry import Entry
from batchbrew.dataset.sources.flat import FlatImages, Opened, bare_labels, flat_images
from batchbrew.dataset.sources.folder import open_folder
from batchbrew.dataset.sources.kaggle import SOLUTION, is_solution, read_solution
from batchbrew.dataset.sources.lists import read_list
from batchbrew.dataset.sources.source import NO_LABEL
from batchbrew.dataset.sources.tar_index import Progress
from batchbrew.errors import InputError

VAL_IMAGE = re.compile(r"ILSVRC2012_val_([0-9]{8})\.[A-Za-z]+")
VAL_LIST = "val.txt"
KAGGLES = Path("ILSVRC", "Data", "CLS-LOC")  # in what kaggle.com hands out, beside LOC_val_solution.csv
IMAGES = {"train": 1_281_167, "val": 50_000}


def open_ilsvrc(
    path: Path,
    which: str,
    devkit: Path | None = None,
    labels: Path | None = None,
    progress: Progress | None = None,
) -> Opened:
    """The images of ILSVRC2012's part `which`, "train" or "val".

    `path` is ILSVRC2012_img_train.tar or ILSVRC2012_img_val.tar, or a folder: of the 1,000 class archives, of
    class folders, of the validation images, or one that holds such a file or folder under its usual name.
    Validation images that are not in class folders get their labels from, in this order:
    1. `labels`: a list in Caffe's format (val.txt), Kaggle's LOC_val_solution.csv, or the kit's ground truth;
    2. `devkit`: the development kit's folder or .tar.gz;
    3. the kit, val.txt or LOC_val_solution.csv where they lie beside the images.
    Raises InputError if something is missing or is not ILSVRC2012's.
    """
    if which not in IMAGES:
        raise InputError(f"{which!r} is no part of ILSVRC2012 that has labels: give train or val")
    place = images_place(path, which)
    if which == "train":
        if labels is not None or devkit is not None:
            raise InputError(f"{labels or devkit} is for val: train's labels are by the names of its classes")
        return _checked(_open_classes(place, progress), which)
    source = _open_val(place, _around(path, place), devkit, labels, progress)
    return _checked(source, which)


def images_place(path: Path, which: str) -> Path:
    """Where the images are, if `path` is a folder that holds them under one of their usual names."""
    name = f"ILSVRC2012_img_{which}"
    names = (f"{name}.tar", name, which, KAGGLES / which, KAGGLES.relative_to("ILSVRC") / which)
    return next((path / name for name in names if (path / name).exists()), path)


def _around(path: Path, place: Path) -> list[Path]:
    """Folders in which labels may lie."""
    folders = [path, place, place.parent]
    if place.resolve().parent.match(str(KAGGLES)):
        folders.append(place.resolve().parents[len(KAGGLES.parts)])
    return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def _open_classes(place: Path, progress: Progress | None) -> Opened:
    if not place.is_dir():
        return open_archive(place, progress)
    names = _names_in(place)
    archives = [name for name in names if name.endswith(".tar") and SYNSET.fullmatch(name[:-4])]
    if not archives:
        return open_folder(place)
    folders = [name for name in names if SYNSET.fullmatch(name)]
    if folders:
        raise InputError(
            f"{place} has both {archives[0]} and the folder {folders[0]}: remove either archives or folders"
        )
    return open_class_archives([place / name for name in archives], f"class archives in {place}", progress)


def _open_val(
    place: Path, around: list[Path], devkit: Path | None, labels: Path | None, progress: Progress | None
) -> Opened:
    if labels is None and place.is_dir() and any(SYNSET.fullmatch(name) for name in _names_in(place)):
        _refuse_needless(devkit, f"{place} has class folders, which are the labels")
        return open_folder(place)
    images = flat_images(place, progress)
    try:
        if labels is None and any(SYNSET.fullmatch(name.partition("/")[0]) for name in images.names):
            _refuse_needless(devkit, f"{place} has class folders, which are the labels")
            images.close()
            return open_archive(place, progress)
        if labels is None and devkit is None:
            devkit, labels = _find_labels(place, around)
        if labels is None:
            assert devkit is not None
            return _with_ground_truth(images, read_devkit(devkit), f"{devkit}, {GROUND_TRUTH}")
        if is_solution(labels):
            _refuse_needless(devkit, f"{labels} has the synsets itself")
            solved, synsets = read_solution(labels)
            return images.labelled(solved, labels, synsets)
        if bare_labels(labels) is not None:
            kit = read_devkit(devkit or _kit_of(labels, around), ground_truth=labels)
            return _with_ground_truth(images, kit, str(labels))
        entries = read_list(labels, place)
        _refuse_kit_numbers(entries, labels)
        return images.labelled(entries, labels, read_devkit(devkit).synsets if devkit is not None else None)
    except BaseException:
        images.close()
        raise


def _refuse_needless(devkit: Path | None, why: str) -> None:
    if devkit is not None:
        raise InputError(f"{why}: the development kit {devkit} would have no effect, leave it out")


def _find_labels(place: Path, around: list[Path]) -> tuple[Path | None, Path | None]:
    """The development kit, or else a file of labels, beside the images."""
    for folder in around:
        for name in (FOLDER, ARCHIVE):
            if (folder / name).exists():
                return folder / name, None
    for folder in around:
        for name in (VAL_LIST, SOLUTION):
            if (folder / name).is_file():
                return None, folder / name
    raise InputError(
        f"{place} has no labels for its images: give the development kit ({ARCHIVE}), {VAL_LIST} or {SOLUTION}"
    )


def _kit_of(ground_truth: Path, around: list[Path]) -> Path:
    """The kit whose meta.mat says what the numbers in a ground truth mean."""
    if (ground_truth.parent / META).is_file():
        return ground_truth.parent
    found = (folder / name for folder in around for name in (FOLDER, ARCHIVE))
    kit = next((path for path in found if path.exists()), None)
    if kit is None:
        raise InputError(
            f"{ground_truth} has the development kit's numbers, not labels: give the kit ({ARCHIVE}), too"
        )
    return kit


def _with_ground_truth(images: FlatImages, kit: Devkit, where: str) -> Opened:
    entries, refused = [], []
    for name in images.names:
        match = VAL_IMAGE.fullmatch(name)
        number = int(match[1]) if match else 0
        if 1 <= number <= len(kit.ground_truth):
            entries.append(Entry(name, kit.ground_truth[number - 1]))
        else:
            reason = (
                f"has number {number}, but {where} has {len(kit.ground_truth):,}"
                if match
                else "has no number"
            )
            refused.append(Unreadable(name, NO_LABEL, reason))
    if not entries:
        raise InputError(f"{images.names[0]!r} is no validation image: ILSVRC2012_val_00000001.JPEG, ... are")
    return images.labelled(entries, where, kit.synsets, refused)


def _refuse_kit_numbers(entries: list[Entry], labels: Path) -> None:
    numbers = {entry.label for entry in entries}
    if min(numbers) >= 1 and max(numbers) == CLASSES:
        raise InputError(
            f"{labels} has labels from {min(numbers)} to {CLASSES}, which are the development kit's numbers: "
            "give the kit, or a list with labels from 0 to 999"
        )
    if max(numbers) >= CLASSES:
        raise InputError(f"{labels} has label {max(numbers)}: ILSVRC2012 has labels from 0 to {CLASSES - 1}")


def _checked(source: Opened, which: str) -> Opened:
    """The source, with notes where it is not all of ILSVRC2012."""
    names = source.class_names
    odd = next((name for name in names or () if not SYNSET.fullmatch(name)), None)
    if odd is not None:
        source.close()
        raise InputError(
            f"{source.name} has a class {odd!r}, which is no synset (n01440764), and would shift the labels: "
            "remove it, or build from a folder of classes, whatever they are called"
        )
    notes = list(source.notes)
    if names is not None and len(names) != CLASSES:
        notes.append(f"has {len(names):,} synsets instead of {CLASSES:,}: labels are places among these")
    if len(source.entries) != IMAGES[which]:
        notes.append(f"has {len(source.entries):,} images instead of {IMAGES[which]:,}")
    source.notes = notes
    return source


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(child.name for child in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from error
