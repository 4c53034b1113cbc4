"""Winograd's convolution: against PyTorch's in float64, and no less exact than PyTorch's in float32."""

from collections.abc import Iterable, Iterator
from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from batchbrew.caffe.layers import winograd_tiles
from batchbrew.caffe.layers.winograd import Lines, Winograd, pays
from batchbrew.caffe.layers.winograd_lines import FOUR, TWO, play, spares
from batchbrew.caffe.layers.winograd_tiles import Tiles

ALL = (True, True, True)
LINES = {"two": TWO, "four": FOUR}


def _direct(inputs: Iterable[Tensor], pad: tuple[int, int]) -> list[Tensor]:
    """Outputs and three gradients of PyTorch's own convolution."""
    x, weights, bias, gradient = inputs
    how = ([1, 1], list(pad), [1, 1], False, [0, 0], 1)
    backward = torch.ops.aten.convolution_backward(gradient, x, weights, [len(bias)], *how, list(ALL))
    return [torch.convolution(x, weights, bias, *how), *backward]


def _winograd(computation: Winograd, inputs: Iterable[Tensor]) -> list[Tensor]:
    x, weights, bias, gradient = inputs
    found = [computation.forward(x, weights, bias), *computation.backward(gradient, x, weights, ALL)]
    assert all(each is not None for each in found)
    return [each for each in found if each is not None]


def _error(found: Tensor, exact: Tensor) -> float:
    """The largest, as a share of the largest number."""
    return float((found - exact).abs().max() / exact.abs().max())


def _random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tiny images then take several bands."""
    monkeypatch.setattr(winograd_tiles, "LARGEST_BAND", 500)
    yield


@pytest.mark.parametrize("name", LINES)
def test_a_line_by_hand(name: str) -> None:
    """Pixels 1, 2, 3, ... by taps 1, 10, 100: outputs 321, 432, ..."""
    line = LINES[name]
    x = torch.arange(1.0, line.points + 1, dtype=torch.float64)[:, None]
    points, outputs = (torch.zeros(count, 1, dtype=torch.float64) for count in (line.points, line.outputs))
    play(line.image, x, points, torch.zeros(spares(line.image), 1, dtype=torch.float64))
    points *= torch.tensor(line.kernel, dtype=torch.float64) @ torch.tensor([[1.0], [10], [100]]).double()
    play(line.products, points, outputs, torch.zeros(spares(line.products), 1, dtype=torch.float64))
    assert outputs[:, 0].tolist() == pytest.approx([321, 432, 543, 654][: line.outputs])


@pytest.mark.parametrize("name", LINES)
def test_the_gradient_of_a_line_by_hand(name: str) -> None:
    """A gradient of 1 at the first output, 10 at the second ...: each tap gets Σ pixel·gradient."""
    line = LINES[name]
    x = torch.arange(1.0, line.points + 1, dtype=torch.float64)[:, None]
    gradient = torch.tensor([[1.0], [10], [100], [1000]], dtype=torch.float64)[: line.outputs]
    points, wanted = (torch.zeros(line.points, 1, dtype=torch.float64) for _ in range(2))
    play(line.image, x, points, torch.zeros(spares(line.image), 1, dtype=torch.float64))
    play(line.gradient, gradient, wanted, torch.zeros(spares(line.gradient), 1, dtype=torch.float64))
    taps = torch.tensor(line.kernel_gradient, dtype=torch.float64).T @ (points * wanted)
    expected = {2: [21, 32, 43], 4: [4321, 5432, 6543]}[line.outputs]
    assert taps[:, 0].tolist() == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 3),
    image=st.tuples(*[st.integers(3, 15)] * 2),
    pad=st.tuples(*[st.integers(0, 2)] * 2),
    lines=st.tuples(*[st.tuples(*[st.sampled_from([TWO, FOUR])] * 2)] * 3),
    channels_last=st.booleans(),
    largest_band=st.sampled_from([1, 300, 900, winograd_tiles.LARGEST_BAND]),
    seed=st.integers(0, 9999),
)
def test_any_shape(
    sizes: tuple[int, int, int],
    image: tuple[int, int],
    pad: tuple[int, int],
    lines: tuple[Lines, Lines, Lines],
    channels_last: bool,
    largest_band: int,
    seed: int,
) -> None:
    images, channels, outputs = sizes
    x, weights, bias = (
        _random(seed, images, channels, *image),
        _random(seed, outputs, channels, 3, 3),
        _random(seed, outputs),
    )
    top = (images, outputs, image[0] + 2 * pad[0] - 2, image[1] + 2 * pad[1] - 2)
    gradient = _random(seed + 1, *top)
    inputs = [each.float() for each in (x, weights, bias, gradient)]
    if channels_last:
        inputs[0], inputs[3] = (inputs[i].to(memory_format=torch.channels_last) for i in (0, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd_tiles, "LARGEST_BAND", largest_band)
        found = _winograd(Winograd(pad, *lines), inputs)
    exact = _direct((each.double() for each in inputs), pad)
    assert torch.allclose(found.pop().double(), exact.pop(), atol=1e-4)  # the sum may be next to 0
    for name, one, other in zip(("y", "dx", "dw"), found, exact, strict=True):
        assert one.shape == other.shape and one.dtype == torch.float32
        assert _error(one, other) < 5e-6, name


@pytest.mark.parametrize(("images", "channels", "outputs", "size"), [(2, 128, 128, 30), (8, 256, 128, 14)])
def test_as_exact_as_promised(images: int, channels: int, outputs: int, size: int) -> None:
    """Against float64: below 2e-6 of the largest number, and three times the error of PyTorch's own kernels."""
    x = _random(1, images, channels, size, size).relu()
    weights = _random(2, outputs, channels, 3, 3) * sqrt(2 / (9 * channels))
    bias, gradient = _random(3, outputs), _random(4, images, outputs, size, size)
    inputs = [each.float() for each in (x, weights, bias, gradient)]
    inputs[0], inputs[3] = (inputs[i].contiguous(memory_format=torch.channels_last) for i in (0, 3))
    exact = _direct((each.double() for each in inputs), (1, 1))
    direct = _direct(inputs, (1, 1))
    found = _winograd(Winograd((1, 1)), inputs)
    for one, own, other in zip(found[:3], direct, exact, strict=False):
        assert _error(one, other) < min(2e-6, 3 * _error(own, other))


def test_nothing_is_computed_unasked() -> None:
    x, weights, gradient = torch.ones(1, 2, 5, 5), torch.ones(3, 2, 3, 3), torch.ones(1, 3, 5, 5)
    for asked in (True, False, False), (False, True, False), (False, False, True):
        found = Winograd((1, 1)).backward(gradient, x, weights, asked)
        assert tuple(each is not None for each in found) == asked


def test_twice_the_same(small_bands: None) -> None:
    """To the last bit; nothing is left over from the call before."""
    inputs = [
        _random(i, *shape).float() for i, shape in enumerate([(3, 8, 9, 9), (5, 8, 3, 3), (5,), (3, 5, 9, 9)])
    ]
    computation = Winograd((1, 1))
    for one, other in zip(_winograd(computation, inputs), _winograd(computation, inputs), strict=True):
        assert torch.equal(one, other)


def test_inputs_stay_as_they_are() -> None:
    inputs = [
        _random(i, *shape).float() for i, shape in enumerate([(2, 3, 8, 8), (4, 3, 3, 3), (4,), (2, 4, 8, 8)])
    ]
    before = [each.clone() for each in inputs]
    _winograd(Winograd((1, 1)), inputs)
    assert all(torch.equal(one, other) for one, other in zip(inputs, before, strict=True))


@pytest.mark.parametrize("images, channels, size", [(7, 512, 28), (3, 64, 224), (1, 1, 1), (8, 512, 14)])
def test_bands_cover_every_tile_once(images: int, channels: int, size: int) -> None:
    tiles = Tiles(FOUR, FOUR, size, size)
    seen = torch.zeros(images, tiles.rows)
    for band in tiles.bands(images, channels):
        seen[band.images, band.first : band.last] += 1
        assert seen[band.images, band.first : band.last].numel() == band.extent[0] * band.extent[1]
        assert (
            band.extent[0] * band.extent[1] * tiles.columns * tiles.points * channels
            <= winograd_tiles.LARGEST_BAND
        )
    assert bool((seen == 1).all())


def test_it_pays_for_wide_layers_alone() -> None:
    """What has few channels is all transforms; what has few pixels, all kernels; and exactness needs some of both."""
    assert pays(8, 512, 512, 28, 28) == (True, True, True)
    assert pays(8, 64, 256, 56, 56) == (False, False, True)
    assert pays(1, 256, 256, 28, 28).weights is False
    for images, channels_in, channels_out, size in [
        (8, 3, 64, 224),
        (8, 64, 64, 224),
        (1, 512, 512, 5),
        (8, 512, 512, 5),
    ]:
        assert not any(pays(images, channels_in, channels_out, size, size))


def test_it_pays_with_little_memory_alone() -> None:
    """A row of tiles and all transformed kernels have to fit."""
    assert all(pays(8, 256, 256, 64, 256)) and not any(pays(8, 256, 256, 64, 4096))
    assert pays(64, 512, 512, 28, 28).forward and not any(pays(64, 1024, 1024, 28, 28))
