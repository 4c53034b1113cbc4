import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import Image, ImageError
from batchbrew.dataset.resizing import Geometry, fit, plan, scale
from tests.dataset.pictures import picture

LANCZOS = Pillow.Resampling.LANCZOS


@pytest.mark.parametrize(
    ("size", "scaled"),
    [
        ((500, 375), (341, 256)),  # 500·256/375 = 341.33
        ((375, 500), (256, 341)),
        ((300, 300), (256, 256)),
        ((257, 256), (257, 256)),
        ((257, 300), (256, 299)),  # 298.83
        ((512, 1025), (256, 513)),  # 512.5 is rounded up
        ((64, 47), (64, 47)),  # smaller
        ((1000, 200), (1000, 200)),  # smaller on one side
    ],
)
def test_short_side(size: tuple[int, int], scaled: tuple[int, int]) -> None:
    assert plan(*size, ImageOptions()) == Geometry(scaled, scaled)


@pytest.mark.parametrize(
    ("size", "options", "scaled", "stored"),
    [
        ((64, 47), ImageOptions(enlarge=True), (349, 256), (349, 256)),  # 348.60
        ((1, 3), ImageOptions(enlarge=True), (256, 768), (256, 768)),
        ((500, 375), ImageOptions(mode="none"), (500, 375), (500, 375)),
        ((500, 375), ImageOptions(mode="squash"), (256, 256), (256, 256)),
        ((50, 37), ImageOptions(mode="squash"), (256, 256), (256, 256)),
        ((500, 375), ImageOptions(mode="crop"), (341, 256), (256, 256)),
        ((50, 100), ImageOptions(mode="crop"), (256, 512), (256, 256)),
        ((500, 375), ImageOptions(mode="pad"), (256, 192), (256, 256)),
        ((375, 500), ImageOptions(mode="pad"), (192, 256), (256, 256)),
        ((50, 40), ImageOptions(mode="pad"), (50, 40), (256, 256)),
        ((50, 40), ImageOptions(mode="pad", enlarge=True), (256, 205), (256, 256)),
        ((60000, 1), ImageOptions(mode="pad"), (256, 1), (256, 256)),
    ],
)
def test_modes(
    size: tuple[int, int], options: ImageOptions, scaled: tuple[int, int], stored: tuple[int, int]
) -> None:
    assert plan(*size, options) == Geometry(scaled, stored)


def test_strip_is_refused() -> None:
    with pytest.raises(ImageError, match=r"is 1×65: with a short side of 256 the other would be 16640"):
        plan(1, 65, ImageOptions(enlarge=True))


def test_crop_is_of_the_middle() -> None:
    image = np.zeros((4, 9, 3), np.uint8)
    image[:, 2:6] = 200
    assert (fit(image, Geometry((9, 4), (4, 4))) == 200).all()
    assert (fit(image.swapaxes(0, 1).copy(), Geometry((4, 9), (4, 4))) == 200).all()


@pytest.mark.parametrize("colours", [(), (3,)])
def test_padding_is_black_on_both_sides(colours: tuple[int, ...]) -> None:
    image = np.full((2, 4, *colours), 200, np.uint8)
    padded = fit(image, Geometry((4, 2), (4, 5)))
    assert padded.shape == (5, 4, *colours)
    assert [int(row.max()) for row in padded] == [0, 200, 200, 0, 0]
    assert (padded[1:3] == 200).all()


def test_at_the_size_nothing_changes() -> None:
    assert np.array_equal(fit(picture(), plan(96, 64, ImageOptions(side=64))), picture())


def zone_plate(width: int, height: int) -> Image:
    """Rings that become finer to the right and down, to half a wave a pixel."""
    y, x = np.mgrid[:height, :width]
    wave = (127.5 + 127.5 * np.cos(np.pi * (x * x / width + y * y / height) / 2)).astype(np.uint8)
    return np.dstack([wave] * 3)


def noise(left: Image, right: Image) -> float:
    """Root of the mean squared difference, in grey levels."""
    return float(np.sqrt(np.square(left.astype(float) - right).mean()))


@pytest.mark.parametrize("size", [(341, 256), (260, 195), (450, 338), (200, 190), (100, 75)])
def test_nearer_to_lanczos_than_the_mean_of_areas(size: tuple[int, int]) -> None:
    for image in (zone_plate(500, 375), cv2.GaussianBlur(zone_plate(500, 375), (5, 5), 0)):
        wanted = np.asarray(Pillow.fromarray(image).resize(size, LANCZOS))
        areas = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        ours = scale(np.asarray(image, np.uint8), *size)
        assert noise(ours, wanted) <= noise(areas, wanted)


def test_what_a_smaller_picture_cannot_have_does_not_alias() -> None:
    """Columns that wave 0.42 times a pixel, where 0.34 are the most: grey, and no moiré."""
    x = np.arange(500)
    waves = (127.5 + 127.5 * np.cos(2 * np.pi * 0.42 * x)).astype(np.uint8)
    image = np.broadcast_to(waves[np.newaxis, :, np.newaxis], (375, 500, 3)).copy()
    inner = slice(4, -4)
    means = cv2.resize(image, (341, 256), interpolation=cv2.INTER_AREA)
    plain = cv2.resize(image, (341, 256), interpolation=cv2.INTER_CUBIC)
    ours = scale(image, 341, 256)
    assert ours[inner, inner].std() < 16 < means[inner, inner].std() < 60 < plain[inner, inner].std()


def test_one_colour_stays_itself() -> None:
    for size in ((341, 256), (100, 75), (600, 450), (300, 500)):
        image = np.full((375, 500, 3), (3, 200, 255), np.uint8)
        assert (scale(image, *size) == (3, 200, 255)).all()


def test_larger_and_smaller_at_once() -> None:
    assert scale(picture(96, 64), 40, 128).shape == (128, 40, 3)
    wanted = np.asarray(Pillow.fromarray(picture(96, 64)).resize((40, 128), LANCZOS))
    assert noise(scale(picture(96, 64), 40, 128), wanted) < 3


def test_shrinking_much_averages_all_pixels() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::4] = 255
    assert set(np.unique(scale(stripes, 128, 128))) == {64}  # 255 / 4; bilinear would say 0


def test_enlarging_is_smooth() -> None:
    assert noise(scale(picture(48, 32), 96, 64), picture()) < 12
