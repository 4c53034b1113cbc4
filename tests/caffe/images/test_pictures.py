"""Real pycaffe reads the same files; its call of scikit-image is spelt as newer versions have it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe.images.pictures import load_image, oversample
from batchbrew.errors import InputError
from tests.conftest import RunCaffe

ORACLE = """
import json, os, sys
import numpy as np
import skimage.io
import caffe
imread = skimage.io.imread
skimage.io.imread = lambda name, as_grey: imread(name, as_gray=as_grey)
found, folder = {}, sys.argv[1]
for name in os.listdir(folder):
    for color in (0, 1):
        found["%s %d" % (name, color)] = caffe.io.load_image(os.path.join(folder, name), bool(color))
crops = np.load(sys.argv[2])
for name in crops.files:
    found["crops " + name] = caffe.io.oversample(crops[name], [int(side) for side in name.split("x")])
np.savez(sys.argv[3], **found)
print(json.dumps(len(found)))
"""

CROPS = ["5x7", "11x13", "4x13", "1x1", "10x2"]


def picture(chance: np.random.Generator, *shape: int) -> NDArray[np.uint8]:
    """Something smooth, 0 to 255."""
    return np.asarray(cv2.GaussianBlur(chance.uniform(0, 255, shape), (0, 0), 2), np.uint8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of image files of all kinds."""
    folder = tmp_path_factory.mktemp("images")
    chance = np.random.default_rng(3)
    colour, grey = picture(chance, 21, 34, 3), picture(chance, 21, 34)
    plain = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_NONE]
    for ending in ("png", "jpg", "bmp", "tif"):
        cv2.imwrite(str(folder / f"colour.{ending}"), colour, plain)
        cv2.imwrite(str(folder / f"grey.{ending}"), grey, plain)
    cv2.imwrite(str(folder / "deep.png"), chance.integers(0, 2**16, (9, 8)).astype(np.uint16))
    return folder


@pytest.fixture(scope="module")
def stacks() -> dict[str, NDArray[np.float32]]:
    """Images to crop, by the size of the crops."""
    chance = np.random.default_rng(4)
    return {size: chance.random((2, 11, 13, 3), np.float32) for size in CROPS}


@pytest.fixture(scope="module")
def real(
    run_caffe: RunCaffe, images: Path, stacks: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, NDArray[Any]]:
    """What real pycaffe reads and crops."""
    folder = tmp_path_factory.mktemp("found")
    np.savez(folder / "crops.npz", **stacks)
    run_caffe(ORACLE, images, folder / "crops.npz", folder / "found.npz")
    with np.load(folder / "found.npz") as found:
        return dict(found)


def test_images_are_read_as_by_pycaffe(images: Path, real: dict[str, NDArray[Any]]) -> None:
    names = [path.name for path in images.iterdir()]
    assert len(names) == 9
    for name in names:
        for color in (False, True):
            ours, expected = load_image(images / name, color), real[f"{name} {color:d}"]
            assert ours.shape == expected.shape, name
            assert ours.dtype == expected.dtype == np.float32
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-7, err_msg=name)


def test_crops_are_those_of_pycaffe(stacks: dict[str, Any], real: dict[str, NDArray[Any]]) -> None:
    for size, stack in stacks.items():
        height, width = map(int, size.split("x"))
        assert (oversample(stack, (height, width)) == real[f"crops {size}"]).all()


def test_transparency_is_dropped(tmp_path: Path) -> None:
    pixels = np.array([[[10, 20, 30, 0], [40, 50, 60, 255]]], np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    expected = np.array([[[30, 20, 10], [60, 50, 40]]], np.float32) / 255
    assert (load_image(tmp_path / "a.png") == expected).all()
    grey = load_image(tmp_path / "a.png", color=False)
    np.testing.assert_allclose(grey[0, :, 0], expected[0] @ [0.2125, 0.7154, 0.0721], atol=1e-7)


def test_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (2**31 - 1).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0" + bytes(99)
    )
    with pytest.raises(InputError, match=r"text.png is not a JPEG"):
        load_image(tmp_path / "text.png")
    with pytest.raises(InputError, match=r"huge.png is a PNG of 2147483647×2147483647 pixels"):
        load_image(tmp_path / "huge.png")
    with pytest.raises(InputError, match=r"none.png cannot be read"):
        load_image(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("shapes", "crop", "words"),
    [
        ([], (1, 1), "at least one image"),
        ([(4, 4, 3), (4, 5, 3)], (2, 2), "of one shape"),
        ([(4, 4)], (2, 2), "H×W×K"),
        ([(4, 4, 3)], (5, 2), "crops of 5×2 cannot be cut from images of 4×4"),
        ([(4, 4, 3)], (0, 2), "crops of 0×2"),
    ],
)
def test_crops_that_cannot_be(shapes: list[tuple[int, ...]], crop: tuple[int, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        oversample([np.zeros(shape) for shape in shapes], crop)
