"""Means and scale over a batch: the same numbers as image by image in numpy, to the last bit."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from batchbrew.caffe.data.normalisation import Normalisation, Place

IMAGES, HEIGHT, WIDTH = 7, 4, 5
MEAN = np.random.default_rng(1).uniform(0, 255, (3, 6, 8)).astype(np.float32)
VALUES = np.array([104, 117.25, 123], np.float32)
NONE = np.zeros(0, np.float32)


def pixels(kind: str, planar: bool) -> torch.Tensor:
    """N×H×W×C, lying as N×C×H×W if `planar`."""
    draw = np.random.default_rng(2)
    if kind == "uint8":
        made = torch.from_numpy(draw.integers(0, 256, (IMAGES, HEIGHT, WIDTH, 3), np.uint8))
    else:
        made = torch.from_numpy(draw.normal(0, 99, (IMAGES, HEIGHT, WIDTH, 3)).astype(np.float32))
    return made.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1) if planar else made


def places(varied: bool) -> list[Place]:
    draw = np.random.default_rng(3)
    return [
        Place(int(draw.integers(3)), int(draw.integers(4)), bool(draw.integers(2)))
        if varied
        else Place(1, 2, True)
        for _ in range(IMAGES)
    ]


def mean_crop(place: Place) -> NDArray[np.float32]:
    crop = MEAN[:, place.top : place.top + HEIGHT, place.left : place.left + WIDTH]
    return crop[:, :, ::-1] if place.mirrored else crop


@pytest.fixture(params=["_in_turn", "_together"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CPU, and as on a GPU."""
    for name in ("_in_turn", "_together"):
        monkeypatch.setattr(Normalisation, name, getattr(Normalisation, request.param))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("varied", [False, True])
def test_a_mean_image(kind: str, planar: bool, varied: bool) -> None:
    given, where = pixels(kind, planar), places(varied)
    numbers = given.permute(0, 3, 1, 2).numpy().astype(np.float32)
    found = Normalisation(NONE, MEAN, 0.017)(given.clone(), where)
    for image, number, place in zip(found.numpy(), numbers, where, strict=True):
        assert np.array_equal(image, (number - mean_crop(place)) * np.float32(0.017))
    assert found.is_contiguous() == planar


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("values", [NONE, VALUES[:1], VALUES])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_mean_values(values: NDArray[np.float32], planar: bool, scale: float) -> None:
    normalise = Normalisation(values, None, float(np.float32(scale)))
    for kind in ("uint8", "float32"):
        given = pixels(kind, planar)
        numbers = given.permute(0, 3, 1, 2).numpy().astype(np.float32)
        expected = (numbers - (values[:, None, None] if len(values) else np.float32(0))) * np.float32(scale)
        assert np.array_equal(normalise(given.clone(), places(True)).numpy(), expected)


def test_batches_of_other_sizes_with_the_same_means() -> None:
    normalise = Normalisation(VALUES, None, 1.0)
    for width, channels in ((5, 3), (7, 3), (5, 3)):
        given = torch.full((1, 2, width, channels), 200, dtype=torch.uint8)
        assert normalise(given, [Place(0, 0, False)])[0, :, 1, width - 1].tolist() == [96, 82.75, 77]
