"""A development kit like ILSVRC2012's, of six synsets, for the tests."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.dataset.sources.trees import make_files, tar_of

SYNSETS = ["n03000000", "n01000000", "n06000000", "n04000000", "n02000000", "n05000000"]
"""In the order of ILSVRC2012_ID, 1 to 6; in sorted order the places are 2, 0, 5, 3, 1, 4."""
INNER = [(1001, "n00000009"), (1860, "n09999999")]
GROUND_TRUTH = [3, 1, 6, 2, 5, 4, 1]
"""Of validation images 1 to 7."""
LABELS = [5, 2, 4, 0, 1, 3, 2]
"""The same as places among the sorted synsets."""

FIELDS = (
    "ILSVRC2012_ID",
    "WNID",
    "words",
    "gloss",
    "num_children",
    "children",
    "wordnet_height",
    "num_train_images",
)


def meta_mat(rows: Iterable[tuple[int, str]] | None = None, compressed: bool = True) -> bytes:
    """The file meta.mat: an array n×1 of structs, inner nodes of the hierarchy at its end."""
    given = [*enumerate(SYNSETS, start=1), *INNER] if rows is None else list(rows)
    synsets = np.empty((len(given), 1), dtype=[(field, object) for field in FIELDS])
    for place, (number, synset) in enumerate(given):
        children = np.array([1.0, 2.0]) if number > 1000 else np.array([])
        synsets[place, 0] = (
            float(number), synset, "dog, domestic dog", "has a tail", float(len(children)), children, 3.0, 1300.0,
        )  # fmt: skip
    file = io.BytesIO()
    savemat(file, {"synsets": synsets}, do_compression=compressed)
    return file.getvalue()


def kit_files() -> dict[str, bytes]:
    """Those that are read, and one that is not."""
    truth = "".join(f"{number}\n" for number in GROUND_TRUTH)
    return {
        "ILSVRC2012_devkit_t12/readme.txt": b"...",
        "ILSVRC2012_devkit_t12/data/meta.mat": meta_mat(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
    }


def write_kit(folder: Path) -> Path:
    """The unpacked kit."""
    make_files(folder, kit_files())
    return folder / "ILSVRC2012_devkit_t12"


def kit_tar() -> bytes:
    """The kit as a tar archive, not yet compressed."""
    return tar_of(kit_files())
