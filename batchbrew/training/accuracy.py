"""Which of a test net's outputs is the top-1 (or top-5) accuracy, and the error in per cent from it."""

import re
from dataclasses import dataclass
from math import isfinite

from batchbrew.errors import InputError
from batchbrew.training.training_log import Series, TrainingLog

_ERROR = re.compile(r"err")
_TOP5 = re.compile(r"top5(?!\d)|(?:accuracy|acc|prec|precision|error|err)5$")
_TOP1 = re.compile(r"top1(?!\d)|(?:accuracy|acc|prec|precision|error|err)1$")
_PLAIN = re.compile(r"accuracy|acc|error|err|errorrate")
_ELEMENT = re.compile(
    r".*\[\d+\]$", re.DOTALL
)  # of an output with several numbers, an accuracy per class say
_HEAD = re.compile(r"loss(\d{1,9})/")  # GoogLeNet: loss1/top-1 and loss2/top-1 are auxiliary heads


@dataclass(frozen=True)
class ErrorCurve:
    """Error of a test net in per cent by iteration; nan where the log has no finite number."""

    output: str
    net: int
    iterations: list[int]
    percent: list[float]

    @property
    def final(self) -> float:
        """The last one; nan if that was lost."""
        return self.percent[-1]

    @property
    def best(self) -> tuple[int, float] | None:
        """Iteration and value of the lowest error, the first of equals; None if no number is finite."""
        finite = [
            (value, at) for at, value in zip(self.iterations, self.percent, strict=True) if isfinite(value)
        ]
        if not finite:
            return None
        value, at = min(finite)
        return at, value


def top1_error(log: TrainingLog, output: str | None = None) -> ErrorCurve:
    """The top-1 error of a log that has test results.

    `output` names the output to take, as `NAME` or `NET:NAME`; else it is the one whose name says top-1, or
    is a plain `accuracy` or `error`, or the only one within 0..1 that is no loss. Raises InputError, listing
    the outputs, where that leaves none or several.
    """
    net, name = _named(log, output) if output is not None else _found(log)
    return _curve(log, net, name)


def top5_error(log: TrainingLog) -> ErrorCurve | None:
    """The top-5 error, if one output's name says that it is one."""
    for net, outputs in sorted(log.tests.items()):
        names = _last_head([name for name in outputs if _is_top5(name)])
        if len(names) == 1:
            return _curve(log, net, names[0])
    return None


def _named(log: TrainingLog, output: str) -> tuple[int, str]:
    for net, outputs in sorted(log.tests.items()):
        if output in outputs:
            return net, output
    number, _, name = output.partition(":")
    if re.fullmatch(r"\d{1,9}", number) and name in log.tests.get(int(number), {}):
        return int(number), name
    raise InputError(
        f"{log.path}: no test output is named {output!r}: name one of {_listing(log)} with --output"
    )


def _found(log: TrainingLog) -> tuple[int, str]:
    several: list[str] = []
    for net, outputs in sorted(log.tests.items()):
        for names in _candidates(log, outputs):
            if len(names) == 1:
                return net, names[0]
            several = several or names
    if several:
        raise InputError(
            f"{log.path}: {', '.join(several)} may all be the top-1 accuracy: name one of them with --output"
        )
    raise InputError(
        f"{log.path}: no test output is known as top-1 accuracy: name one of {_listing(log)} with --output"
    )


def _candidates(log: TrainingLog, outputs: dict[str, Series]) -> list[list[str]]:
    """Names that may be top-1, the most telling kind first; kinds without any name are left out."""
    names = [
        name for name in outputs if name not in log.losses and not _is_top5(name) and not _ELEMENT.match(name)
    ]
    named = _last_head([name for name in names if _TOP1.search(_letters(name))])
    plain = [name for name in names if _PLAIN.fullmatch(_letters(name.rpartition("/")[2]))]
    fractions = [name for name in names if "loss" not in name.lower() and _all_within(outputs[name], 1)]
    return [kind for kind in (named, plain, fractions) if kind]


def _is_top5(name: str) -> bool:
    return _TOP5.search(_letters(name)) is not None and not _ELEMENT.match(name)


def _last_head(names: list[str]) -> list[str]:
    heads = {name: int(match[1]) for name in names if (match := _HEAD.match(name))}
    return [max(heads, key=lambda name: heads[name])] if heads and len(heads) == len(names) else names


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _all_within(series: Series, top: float) -> bool:
    finite = [value for value in series.values if isfinite(value)]
    return bool(finite) and min(finite) >= 0 and max(finite) <= top


def _curve(log: TrainingLog, net: int, name: str) -> ErrorCurve:
    """Fractions become per cent; a series with numbers above 1 holds per cent already."""
    series = log.tests[net][name]
    finite = [value for value in series.values if isfinite(value)]
    if name in log.losses or (finite and not _all_within(series, 100)):
        raise InputError(
            f"{log.path}: test output {name!r} ({min(finite, default=0):g} to {max(finite, default=0):g}) "
            f"is neither an accuracy nor an error: name one of {_listing(log)} with --output"
        )
    scale = 100.0 if _all_within(series, 1) else 1.0
    is_error = _ERROR.search(name.lower()) is not None
    percent = [
        (value * scale if is_error else 100.0 - value * scale) if isfinite(value) else float("nan")
        for value in series.values
    ]
    return ErrorCurve(name, net, list(series.iterations), percent)


def _listing(log: TrainingLog) -> str:
    several_nets = len(log.tests) > 1
    names = [
        f"{net}:{name}" if several_nets else name
        for net, outputs in sorted(log.tests.items())
        for name in outputs
    ]
    return ", ".join(names) or "(the log has no test output)"
