"""How a convergence plot looks: panels, axes, colours, legend. Pure drawing, on figures without a display."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from batchbrew.training.accuracy import ErrorCurve
from batchbrew.training.curves import MOST_POINTS, thinned, top_of
from batchbrew.training.training_log import Series, TrainingLog

# Okabe and Ito's colours, told apart with any kind of colour blindness; grey is the learning rate's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
RATE_COLOUR = "#8C8C8C"
SIZE_INCHES = (8.0, 5.0)
LOSS_PANEL_INCHES = 2.4
LEGEND_LINE_INCHES = 0.2
MARKED_POINTS = 40


@dataclass(frozen=True)
class Run:
    """One log and what is drawn of it; without `top1` that is its training loss."""

    label: str
    log: TrainingLog
    top1: ErrorCurve | None
    top5: ErrorCurve | None


def draw(runs: Sequence[Run], *, title: str | None, loss: bool) -> Figure:
    """Errors (without any, losses) with the rate on the right; below, if asked for, a panel of losses."""
    any_error = any(run.top1 for run in runs)
    loss_panel = any_error and (loss or not all(run.top1 for run in runs))
    width, height = SIZE_INCHES
    height += LEGEND_LINE_INCHES * max(0, len(runs) - 3)
    figure = Figure(figsize=(width, height + LOSS_PANEL_INCHES * loss_panel), layout="constrained")
    below: Axes | None = None
    if loss_panel:
        main, below = figure.subplots(2, 1, sharex=True, height_ratios=[height, LOSS_PANEL_INCHES])
        handles = draw_errors(main, runs) + draw_losses(below, runs)
    else:
        main = figure.subplots()
        handles = draw_errors(main, runs) if any_error else draw_losses(main, runs)
    handles += draw_rates(main, runs)
    for axes in (main, below) if below is not None else (main,):
        axes.grid(True, color="black", alpha=0.1, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        draw_divergences(axes, runs, labelled=axes is main)
    finish_axes(below if below is not None else main, runs)
    legend(main, handles)
    if title:
        figure.suptitle(plain(title), fontsize=13)
    return figure


def draw_errors(axes: Axes, runs: Sequence[Run]) -> list[Line2D]:
    """Top-1 as lines, top-5 dashed, a lone result as a marker with its number; a lost one is a gap."""
    handles = []
    has_top5 = any(run.top5 for run in runs)
    for place, run in enumerate(runs):
        for kind, error, style in (("top-1", run.top1, "-"), ("top-5", run.top5, "--")):
            if error is None:
                continue
            marker = "o" if kind == "top-1" else "s"
            (line,) = axes.plot(
                error.iterations,
                error.percent,
                linestyle=style,
                color=COLOURS[place % len(COLOURS)],
                linewidth=1.8,
                marker=marker if len(error.percent) <= MARKED_POINTS else None,
                markersize=4 if len(error.percent) > 1 else 8,
                label=f"{run.label}{', ' + kind if has_top5 else ''}: {figures_of(error)}",
                zorder=3,
            )
            handles.append(line)
            if len(error.percent) == 1 and isfinite(error.final):
                axes.annotate(
                    f"{error.final:.2f} %",
                    (error.iterations[0], error.final),
                    xytext=(9, 0),
                    textcoords="offset points",
                    va="center",
                )
    axes.set_ylabel("error in %" if has_top5 else "top-1 error in %")
    axes.set_ylim(*error_limits(runs))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    return handles


def error_limits(runs: Sequence[Run]) -> tuple[float, float]:
    """Tens around all errors, so that plots of one net are easily compared; at least 20 apart."""
    curves = [curve for run in runs for curve in (run.top1, run.top5) if curve is not None]
    finite = [value for curve in curves for value in curve.percent if isfinite(value)] or [0.0, 100.0]
    low, high = 10 * np.floor((min(finite) - 1) / 10), 10 * np.ceil((max(finite) + 1) / 10)
    return max(0.0, min(low, high - 20)), min(102.0, max(high, low + 20))


def figures_of(error: ErrorCurve) -> str:
    """Final and best error, for the legend."""
    final = f"{error.final:.2f} %" if isfinite(error.final) else "lost"
    best = error.best
    if best is None or len(error.percent) == 1:
        return final
    if best[1] == error.final:
        return f"final and best {final}"
    return f"final {final}, best {best[1]:.2f} % at {short(best[0])}"


def draw_losses(axes: Axes, runs: Sequence[Run]) -> list[Line2D]:
    """All training losses; the lines returned, for the legend, are those of runs that have no error there."""
    handles = []
    highest = []
    for place, run in enumerate(runs):
        if not run.log.loss:
            continue
        colour = COLOURS[place % len(COLOURS)]
        at, mean, low, high = thinned(run.log.loss)
        (line,) = axes.plot(
            at, mean, color=colour, linewidth=1.4, zorder=3, marker="o" if len(at) == 1 else None
        )
        if len(run.log.loss) > MOST_POINTS:
            axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
        if run.top1 is None:
            line.set_label(f"{run.label}: training loss, final {run.log.loss.values[-1]:.4g}")
            handles.append(line)
        highest.append(top_of(high[np.isfinite(high)]))
    axes.set_ylabel("training loss")
    if max(highest, default=0.0) > 0:
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(highest))
    return handles


def draw_rates(axes: Axes, runs: Sequence[Run]) -> list[Line2D]:
    """Learning rates in grey on an axis of their own; equal schedules are drawn once."""
    schedules: list[tuple[Series, list[str]]] = []
    for run in runs:
        rate = run.log.rate
        same = next((labels for series, labels in schedules if series == rate), None)
        if same is not None:
            same.append(run.label)
        elif any(isfinite(value) for value in rate.values):
            schedules.append((rate, [run.label]))
    if not schedules:
        return []
    right = axes.twinx()
    styles = ("-", "--", ":", "-.")
    handles = []
    for place, (rate, labels) in enumerate(schedules):
        at, value, _, _ = thinned(rate)
        handles += right.plot(
            at,
            value,
            color=RATE_COLOUR,
            linewidth=1.3,
            linestyle=styles[place % len(styles)],
            marker="." if len(at) == 1 else None,
            label="learning rate" if len(schedules) == 1 else f"learning rate of {', '.join(labels)}",
        )
    top = max(value for rate, _ in schedules for value in rate.values if isfinite(value))
    right.set_ylim(0, top * 1.05 or 1)
    right.set_ylabel("learning rate", color="#6E6E6E")
    right.tick_params(axis="y", colors="#6E6E6E")
    right.spines[["top", "left"]].set_visible(False)
    axes.set_zorder(right.get_zorder() + 1)  # errors in front of the rate
    axes.patch.set_visible(False)
    return handles


def draw_divergences(axes: Axes, runs: Sequence[Run], *, labelled: bool) -> None:
    """A dotted line where a run was lost; lines close together share one label."""
    several = len(runs) > 1
    lost = sorted(
        (divergence.iteration, COLOURS[place % len(COLOURS)] if several else "#B00020")
        for place, run in enumerate(runs)
        for divergence in run.log.divergences
    )
    low, high = extent(runs)
    groups: list[list[int]] = []
    for at, colour in lost:
        axes.axvline(at, color=colour, linestyle=":", linewidth=1.3, zorder=1)
        if groups and at - groups[-1][0] < 0.03 * (high - low):
            groups[-1].append(at)
        else:
            groups.append([at])
    for group in groups if labelled else []:
        axes.annotate(
            "diverged" if len(group) == 1 else f"diverged ×{len(group)}",
            (group[-1], 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0) if group[-1] < low + 0.9 * (high - low) else (-3, 0),
            ha="left" if group[-1] < low + 0.9 * (high - low) else "right",
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=9,
            color="#555555",
        )


def extent(runs: Sequence[Run]) -> tuple[int, int]:
    """First and last iteration of anything drawn."""
    places: list[int] = []
    for run in runs:
        curves = [run.top1, run.top5, run.log.loss, run.log.rate]
        places += [curve.iterations[end] for curve in curves if curve and curve.iterations for end in (0, -1)]
        places += [divergence.iteration for divergence in run.log.divergences]
    return min(places), max(places)


def finish_axes(axes: Axes, runs: Sequence[Run]) -> None:
    low, high = extent(runs)
    margin = max(1, (high - low) * 0.015)
    axes.set_xlim(low - margin, high + margin)
    axes.set_xlabel("iteration")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if low == high:
        axes.set_xticks([low])


def legend(axes: Axes, handles: Sequence[Line2D]) -> None:
    """Above the panel, where it hides no curve however long the labels are."""
    axes.legend(
        handles,
        [plain(str(handle.get_label())) for handle in handles],
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        borderaxespad=0,
        frameon=False,
        fontsize=9.5,
    )


def plain(text: str) -> str:
    """Text as it is: matplotlib takes `$` for mathematics, and hides labels that begin with `_`."""
    text = " ".join(text.split()).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def short(iteration: int) -> str:
    """1234 stays; 310000 is 310k."""
    return f"{iteration // 1000}k" if iteration >= 10_000 and not iteration % 1000 else str(iteration)
