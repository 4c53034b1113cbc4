"""The convergence plot: top-1 error and learning rate by iteration, as in Fig. 1 of arXiv 1612.01452."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from batchbrew.atomic import write_file
from batchbrew.errors import InputError
from batchbrew.training.accuracy import ErrorCurve, top1_error, top5_error
from batchbrew.training.convergence_figure import Run, draw
from batchbrew.training.log import read_log
from batchbrew.training.training_log import TrainingLog

FORMATS = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 160


@dataclass(frozen=True)
class PlotSummary:
    """What was drawn; `text` says it in a line for each log."""

    out: Path
    text: str


def plot(
    logs: Sequence[Path],
    out: Path,
    *,
    output: str | None = None,
    title: str | None = None,
    labels: Sequence[str] | None = None,
    top5: bool = False,
    loss: bool = False,
) -> None:
    """The command: plot and say what was plotted."""
    print(plot_convergence(logs, out, output=output, title=title, labels=labels, top5=top5, loss=loss).text)


def plot_convergence(
    logs: Sequence[Path],
    out: Path,
    *,
    output: str | None = None,
    title: str | None = None,
    labels: Sequence[str] | None = None,
    top5: bool = False,
    loss: bool = False,
) -> PlotSummary:
    """Draw the logs over one another and write a picture of the kind that `out` ends in.

    `output` names the test output to take as top-1, `top5` adds the top-5 error, `loss` a panel with the
    training loss. Where no log has a test result the training loss is drawn instead. Raises InputError for
    logs that hold nothing to draw, for an unknown ending, and for labels that are not one for each log.
    """
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"{out} has none of the endings {', '.join(FORMATS)}: choose one of them")
    if not logs:
        raise InputError("no log was named: name at least one training log")
    if labels and len(labels) != len(logs):
        raise InputError(f"{len(labels)} labels for {len(logs)} logs: give one label for each log")
    named = zip(labels or default_labels(logs), map(read_log, logs), strict=True)
    runs = [_run(label, log, output, top5) for label, log in named]
    figure = draw(runs, title=title, loss=loss)
    write_file(out, _picture(figure, out.suffix.lower().removeprefix(".")))
    lines = [_line(run) for run in runs]
    return PlotSummary(out, "\n".join([*lines, f"written: {out}"]))


def default_labels(logs: Sequence[Path]) -> list[str]:
    """A run's folder for its `train.log`, else the file's name; whole paths where two would be equal."""
    names = [
        path.resolve().parent.name if path.stem in ("train", "log", "test") else path.stem for path in logs
    ]
    return [
        name if name and names.count(name) == 1 else str(path) for name, path in zip(names, logs, strict=True)
    ]


def _run(label: str, log: TrainingLog, output: str | None, top5: bool) -> Run:
    has_tests = any(outputs for outputs in log.tests.values())
    if not has_tests and not log.loss:
        raise InputError(f"{log.path} holds neither a test result nor a loss yet: wait for the first")
    if not has_tests and output is not None:
        raise InputError(f"{log.path} holds no test result, so no output {output!r}: leave --output out")
    error = top1_error(log, output) if has_tests else None
    return Run(label, log, error, top5_error(log) if has_tests and top5 else None)


def _picture(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    dates: dict[str, dict[str, str | None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    # The same logs give the same bytes: no date, and no ids at random.
    with rc_context({"svg.hashsalt": "batchbrew"}):
        figure.savefig(buffer, format=kind, dpi=DOTS_PER_INCH, metadata=dates.get(kind))
    return buffer.getvalue()


def _line(run: Run) -> str:
    log = run.log
    parts = [_error_text("top-1 error", run.top1)] if run.top1 else [_loss_text(log)]
    if run.top5:
        parts.append(_error_text("top-5 error", run.top5))
    if log.restarts:
        parts.append(f"{len(log.restarts)} restart{'s' * (len(log.restarts) > 1)}")
    if log.divergences:
        places = ", ".join(str(divergence.iteration) for divergence in log.divergences)
        parts.append(f"diverged at iteration {places}")
    if log.unparsed_count:
        number, text = log.unparsed[0]
        parts.append(f"{log.unparsed_count} lines not understood, the first is line {number}: {text.strip()}")
    return f"{run.label}: " + "; ".join(parts)


def _error_text(kind: str, error: ErrorCurve) -> str:
    count = len(error.percent)
    final = f"{error.final:.2f} %" if isfinite(error.final) else "lost (not a finite number)"
    text = f"{kind} {final} at iteration {error.iterations[-1]} (output {error.output!r}, {count} test"
    text += "s" * (count > 1)
    if error.best is not None and count > 1:
        text += f"; best {error.best[1]:.2f} % at iteration {error.best[0]}"
    return text + ")"


def _loss_text(log: TrainingLog) -> str:
    last, at = log.loss.values[-1], log.loss.iterations[-1]
    return f"no test result in the log, training loss drawn instead: {last:g} at iteration {at}"
