"""Real pycaffe, with scikit-image and SciPy, resizes the same images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe.images.resizing import ImageShapeError, resize_image
from tests.conftest import RunCaffe

CASES = 240
TOLERANCE = 3e-7  # of the image's range, plus float32's of its numbers

ORACLE = """
import json, sys, warnings
import numpy as np
import caffe
warnings.simplefilter("ignore")
given, found = np.load(sys.argv[1]), {}
for name in given.files:
    if name.startswith("image"):
        height, width, order = (int(number) for number in given[name.replace("image", "size")])
        found[name] = caffe.io.resize_image(given[name], (height, width), order)
np.savez(sys.argv[2], **found)
print(json.dumps(len(found)))
"""

Case = tuple[NDArray[Any], tuple[int, int], int]


def random_cases() -> list[Case]:
    """Images of all kinds, to larger and smaller sizes, to integer fractions and to their own."""
    chance = np.random.default_rng(7)
    cases: list[Case] = []
    while len(cases) < CASES:
        channels = int(chance.choice([1, 3, 3, 2, 4, 7]))
        shape = (*chance.integers(1, 30, 2), channels)
        image = chance.normal(chance.normal() * 100, 50, shape)
        kind = chance.choice(["float32", "float32", "float64", "uint8", "int16"])
        image = (image.clip(0, 255) if kind == "uint8" else image).astype(kind)
        size = tuple(int(side) for side in chance.integers(2, 40, 2))
        if chance.random() < 0.2:
            size = (max(2, shape[0] // 2), max(2, shape[1] // 3))
        elif chance.random() < 0.1:
            size = (max(2, shape[0]), max(2, shape[1]))
        cases.append((image, (size[0], size[1]), int(chance.integers(0, 4))))
    return cases


@pytest.fixture(scope="module")
def compared(
    run_caffe: RunCaffe, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Case, NDArray[Any], NDArray[Any]]]:
    """Each case with ours and real pycaffe's."""
    folder = tmp_path_factory.mktemp("resize")
    cases = random_cases()
    arrays: dict[str, Any] = {}
    for number, (image, size, order) in enumerate(cases):
        arrays |= {f"image{number}": image, f"size{number}": (*size, order)}
    np.savez(folder / "given.npz", **arrays)
    assert run_caffe(ORACLE, folder / "given.npz", folder / "found.npz") == CASES
    with np.load(folder / "found.npz") as found:
        return [(case, resize_image(*case), found[f"image{number}"]) for number, case in enumerate(cases)]


def difference(image: NDArray[Any], ours: NDArray[Any], real: NDArray[Any]) -> float:
    """The worst, of the image's range, beyond what float32 leaves of large numbers."""
    spread = float(image.max()) - float(image.min()) or 1.0
    worst = np.abs(ours.astype(np.float64) - real) - np.spacing(np.abs(real).max())
    return float(worst.max()) / spread


def lies_halfway(old: int, new: int) -> bool:
    """Whether the middle of some new pixel lies just between two old ones."""
    positions = old / new * (np.arange(new) + 0.5)
    return bool((np.abs(positions - positions.round()) < 1e-9).any())


def test_images_are_those_of_pycaffe(compared: list[Any]) -> None:
    checked = 0
    for (image, size, order), ours, real in compared:
        assert ours.shape == real.shape == (*size, image.shape[2])
        assert ours.dtype == real.dtype == np.float32
        if image.shape[2] not in (1, 3):
            by_chance = image.dtype.kind != "f"
        else:
            halfway = any(lies_halfway(*sides) for sides in zip(image.shape, size, strict=False))
            by_chance = order == 2 or (order == 0 and image.dtype != np.float32 and halfway)
        if not by_chance:
            assert difference(image, ours, real) < TOLERANCE, (image.shape, image.dtype, size, order)
            checked += 1
    assert checked > CASES / 2


def off_the_edge(old: int, new: int) -> NDArray[np.bool_]:
    """Which new pixels have their middle not just on that of an outermost old one."""
    positions = old / new * (np.arange(new) + 0.5) - 0.5
    return np.asarray((np.abs(positions) > 1e-9) & (np.abs(positions - (old - 1)) > 1e-9))


def test_quadratic_images_are_those_of_pycaffe_but_on_the_edge(compared: list[Any]) -> None:
    checked = 0
    for (image, size, order), ours, real in compared:
        if order == 2 and image.shape[2] in (1, 3):
            off = np.ix_(*(off_the_edge(*sides) for sides in zip(image.shape, size, strict=False)))
            if ours[off].size:
                assert difference(image, ours[off], real[off]) < TOLERANCE, (image.shape, size)
                checked += 1
    assert checked > 10


def test_whole_numbers_are_rounded_as_scipy_does(compared: list[Any]) -> None:
    checked = 0
    for (image, _, _), ours, real in compared:
        if image.dtype.kind in "iu" and image.shape[2] not in (1, 3):
            assert (np.abs(ours - real) <= 1).all()
            assert (ours != real).mean() < 0.05  # halves, by the last bit
            checked += 1
    assert checked > 10


def test_hand_worked_lines() -> None:
    image = np.array([[[0], [8]]], np.float32)
    # middles of the new pixels are at -0.25, 0.25, 0.75, 1.25; beyond the edge is the smallest number
    assert resize_image(image, (1, 4)).ravel().tolist() == [0, 2, 6, 6]
    # four channels: the outermost pixels stay the outermost
    four = np.repeat(image, 4, 2)
    assert resize_image(four, (1, 3))[0, :, 0].tolist() == [0, 4, 8]


def test_shrinking_blurs_unless_told_otherwise() -> None:
    image = np.zeros((9, 9, 1), np.float32)
    image[4, 4] = 1
    assert resize_image(image, (3, 3), anti_aliasing=False)[1, 1, 0] == 1
    assert 0 < resize_image(image, (3, 3))[1, 1, 0] < 0.5


def test_a_single_colour_stays_it() -> None:
    assert (resize_image(np.full((2, 3, 3), 7, np.uint8), (4, 5)) == 7).all()


def test_the_image_is_left_as_it_is() -> None:
    image = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    before = image.copy()
    for order in range(4):
        resize_image(image, (5, 2), order)
    assert (image == before).all()


@pytest.mark.parametrize(
    ("image", "size", "words"),
    [
        (np.zeros((4, 4)), (2, 2), r"shape \(4, 4\) cannot be resized: give height, width and channels"),
        (np.zeros((0, 4, 3)), (2, 2), r"shape \(0, 4, 3\)"),
        (np.zeros((4, 4, 3)), (0, 2), "cannot be resized to 0 rows of 2"),
        (np.zeros((4, 4, 3)), (2**31, 2**31), "at most 89,478,485 pixels"),
        (np.zeros((4, 4, 3)), (2.5, 2), r"\(2.5, 2\) is no size"),
        (np.zeros((4, 4, 3)), (2,), r"\(2,\) is no size"),
        (np.zeros((4, 4, 3), complex), (2, 2), "complex128 cannot be resized"),
    ],
)
def test_sizes_that_cannot_be(image: NDArray[Any], size: Any, words: str) -> None:
    with pytest.raises(ImageShapeError, match=words):
        resize_image(image, size)


def test_other_orders_are_refused() -> None:
    with pytest.raises(ImageShapeError, match="must be 0, 1, 2 or 3, not 4"):
        resize_image(np.zeros((4, 4, 3)), (2, 2), 4)


def test_sizes_may_be_arrays(tmp_path: Path) -> None:
    assert resize_image(np.eye(4)[:, :, np.newaxis], np.array([2, 3])).shape == (2, 3, 1)  # type: ignore[arg-type]
