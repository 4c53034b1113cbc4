"""Which output is the top-1 accuracy, whatever its name, and that doubt is an error."""

import math
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.training.accuracy import top1_error, top5_error
from batchbrew.training.training_log import Series, TrainingLog


def log_of(outputs: dict[str, list[float]], losses: tuple[str, ...] = ("loss",)) -> TrainingLog:
    tests = {0: {name: series(values) for name, values in outputs.items()}}
    return TrainingLog(Path("train.log"), losses=set(losses), tests=tests)


def log_with(**outputs: list[float]) -> TrainingLog:
    return log_of(outputs)


def series(values: list[float]) -> Series:
    made = Series()
    for place, value in enumerate(values):
        made.record(1000 * place, value)
    return made


@pytest.mark.parametrize(
    "name",
    [
        "accuracy",
        "accuracy/top1",
        "top1",
        "top-1",
        "acc",
        "Accuracy@1",
        "acc/top-1",
        "accuracy_top1",
        "Accuracy1",
    ],
)
def test_names_of_top1_accuracy(name: str) -> None:
    log = log_with(top5=[0.5, 0.75], loss=[0.7, 0.6], other=[0.1, 0.2])
    log.tests[0][name] = series([0.25, 0.6])
    curve = top1_error(log)
    assert (curve.output, curve.iterations, curve.percent) == (name, [0, 1000], [75.0, 40.0])
    assert (curve.final, curve.best) == (40.0, (1000, 40.0))
    five = top5_error(log)
    assert five is not None and five.percent == [50.0, 25.0]


@pytest.mark.parametrize("name", ["error", "top1_error", "top-1-err", "err", "error_rate"])
def test_errors_are_taken_as_they_are(name: str) -> None:
    log = log_with(loss=[0.7], top5_error=[0.1])
    log.tests[0][name] = series([0.4])
    assert top1_error(log).percent == [40.0]


def test_the_last_of_several_heads_of_googlenet() -> None:
    log = log_of({f"loss{k}/top-{n}": [k / 10 + n / 100] for k in (1, 2, 3) for n in (1, 5)})
    assert top1_error(log).output == "loss3/top-1"
    five = top5_error(log)
    assert five is not None and five.output == "loss3/top-5"


def test_the_only_fraction_that_is_no_loss() -> None:
    scores = {"score 0": [0.13, 0.1], "score 1": [1.79, 27.0]}
    assert top1_error(log_of(scores, losses=())).output == "score 0"
    log = log_of({"total": [0.5], "my_loss": [0.4], "mystery": [math.nan, 0.25]}, losses=("total",))
    assert top1_error(log).best == (1000, 75.0)


def test_elements_of_an_accuracy_per_class_are_not_top1_or_top5() -> None:
    log = log_with(accuracy=[0.5], per_class_accuracy=[0.9])
    for k in range(1, 6):
        log.tests[0][f"per_class_accuracy[{k}]"] = series([0.1])
    assert top1_error(log).output == "accuracy"
    assert top5_error(log) is None


def test_per_cent_stays_per_cent_and_lost_numbers_are_lost() -> None:
    curve = top1_error(log_with(accuracy=[0.1, 60.0, math.inf]))
    assert curve.percent[:2] == [99.9, 40.0]
    assert math.isnan(curve.final)
    assert curve.best == (1000, 40.0)
    assert top1_error(log_with(accuracy=[math.nan])).best is None


def test_an_output_named_by_the_user() -> None:
    log = log_with(accuracy=[0.5], other=[0.25])
    log.tests[2] = {"accuracy": series([0.75])}
    assert top1_error(log, "other").percent == [75.0]
    assert top1_error(log, "accuracy").percent == [50.0]
    assert top1_error(log, "2:accuracy").percent == [25.0]
    with pytest.raises(InputError, match=r"no test output is named 'top': .*0:accuracy, 0:other, 2:accuracy"):
        top1_error(log, "top")


@pytest.mark.parametrize(
    ("log", "what"),
    [
        (log_with(a=[0.1], b=[0.2]), "a, b may all be .* --output"),
        (log_with(loss=[0.1]), "name one of loss with --output"),
        (log_with(accuracy=[150.0]), "'accuracy' .150 to 150. is neither"),
        (TrainingLog(Path("x.log")), "the log has no test output"),
    ],
)
def test_doubt_is_an_error(log: TrainingLog, what: str) -> None:
    with pytest.raises(InputError, match=what):
        top1_error(log)


def test_a_loss_is_no_accuracy() -> None:
    with pytest.raises(InputError, match=r"'loss' .0\.3 to 0\.3. is neither an accuracy nor an error"):
        top1_error(log_with(loss=[0.3]), "loss")
