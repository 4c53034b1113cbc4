"""Which losses are a divergence, and which are a training that is only having a hard time."""

import math
from pathlib import Path

import pytest

from batchbrew.proto import caffe_pb2
from batchbrew.training.divergence import LOSS_CEILING, WINDOW_ITERS, DivergenceDetector, loss_is_a_mean


def first_divergence(detector: DivergenceDetector, losses: list[float]) -> int | None:
    """The index of the loss at which `detector` gives up."""
    for index, loss in enumerate(losses):
        if detector.observe(loss) is not None:
            return index
    return None


def test_the_ceiling_is_the_number_that_caffe_prints() -> None:
    assert f"{LOSS_CEILING:.4f}" == "87.3365"


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, 87.3365, 87.34])
def test_one_such_loss_is_enough(loss: float) -> None:
    assert first_divergence(DivergenceDetector(1000), [6.9, 6.8, loss]) == 2


def test_without_a_softmax_loss_only_nan_and_the_ceiling_count() -> None:
    assert first_divergence(DivergenceDetector(None), [50.0] * 500) is None
    assert first_divergence(DivergenceDetector(None), [50.0, math.nan]) == 1


def test_the_ceiling_grows_with_the_loss_weight() -> None:
    assert first_divergence(DivergenceDetector(1000, loss_weight=1.6), [90.0]) is None
    assert first_divergence(DivergenceDetector(1000, loss_weight=1.6), [87.3365 * 1.6]) == 0


def test_a_jump_from_a_learned_state_to_guessing_is_seen_once_half_the_window_shows_it() -> None:
    learned = [2.0] * 100
    guessing = [math.log(1000) + 0.01] * WINDOW_ITERS
    # An even window's median is the mean of its two middle values: it passes ln(1000) with the next loss.
    assert first_divergence(DivergenceDetector(1000), learned + guessing) == 100 + WINDOW_ITERS // 2


def test_a_few_bad_batches_are_no_divergence() -> None:
    losses = ([2.0] * 40 + [9.0] * 10) * 20
    assert first_divergence(DivergenceDetector(1000), losses) is None


def test_a_training_that_never_learned_is_not_back_at_guessing() -> None:
    assert first_divergence(DivergenceDetector(1000), [6.91, 7.2, 6.95] * 300) is None


def test_a_hopelessly_large_loss_is_a_divergence_even_without_a_learned_state() -> None:
    losses = [6.9] * 5 + [40.0] * WINDOW_ITERS
    assert first_divergence(DivergenceDetector(1000), losses) == WINDOW_ITERS - 1


@pytest.mark.parametrize(
    ("loss_param", "expected"),
    [
        ("", True),
        ("loss_param { ignore_label: 255 }", True),
        ("loss_param { normalization: FULL }", True),
        ("loss_param { normalization: NONE }", False),
        ("loss_param { normalize: false }", False),
        ("loss_param { normalize: false normalization: VALID }", True),  # the newer field holds
    ],
)
def test_a_loss_that_is_a_sum_has_no_ceiling(tmp_path: Path, loss_param: str, expected: bool) -> None:
    for layer in ('layer { name: "l" type: "SoftmaxWithLoss"', 'layers { name: "l" type: SOFTMAX_LOSS'):
        (tmp_path / "net.prototxt").write_text(f"{layer} {loss_param} }}")
        assert loss_is_a_mean(caffe_pb2.SolverParameter(net=str(tmp_path / "net.prototxt"))) is expected


def test_a_sum_diverges_when_it_is_no_number() -> None:
    detector = DivergenceDetector(classes=3, loss_weight=0)
    assert all(detector.observe(1e5) is None for _ in range(100))
    assert detector.observe(float("nan")) == "loss = nan"


def test_a_net_that_starts_far_above_guessing_and_comes_down_is_no_divergence() -> None:
    losses = [60 * 0.99**index for index in range(300)]
    assert first_divergence(DivergenceDetector(4), losses) is None
