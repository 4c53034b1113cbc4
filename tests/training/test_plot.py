"""Convergence plots: what is on the figure, what is said, and that the file is whole."""

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from batchbrew.errors import InputError
from batchbrew.glog import glog_line
from batchbrew.training.accuracy import top1_error, top5_error
from batchbrew.training.convergence_figure import Run, draw
from batchbrew.training.log import read_log
from batchbrew.training.plot import default_labels, plot, plot_convergence

WHEN = datetime(2026, 11, 22)


def write_log(path: Path, *messages: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(glog_line("I", message, when=WHEN, pid=7) + "\n" for message in messages))
    return path


def one_test(iteration: int, accuracy: float, top5: float = 0.9) -> list[str]:
    return [
        f"Iteration {iteration}, Testing net (#0)",
        f"    Test net output #0: accuracy = {accuracy}",
        "    Test net output #1: loss = 0.5 (* 1 = 0.5 loss)",
        f"    Test net output #2: top5 = {top5}",
    ]


def one_step(iteration: int, loss: float = 1.0, rate: float = 0.1) -> list[str]:
    return [f"Iteration {iteration}, loss = {loss}", f"Iteration {iteration}, lr = {rate}"]


def a_run(path: Path, accuracies: list[float], rate: float = 0.1) -> Path:
    messages = []
    for place, accuracy in enumerate(accuracies):
        messages += one_test(100 * place, accuracy) + one_step(100 * place, 2 - accuracy, rate)
    return write_log(path, *messages)


def figure_of(*logs: Path, top5: bool = False, loss: bool = False) -> Figure:
    runs = []
    for path in logs:
        log = read_log(path)
        error = top1_error(log) if log.tests else None
        runs.append(Run(path.stem, log, error, top5_error(log) if top5 else None))
    return draw(runs, title=None, loss=loss)


def axes_of(figure: Figure) -> dict[str, Axes]:
    return {axes.get_ylabel(): axes for axes in figure.axes}


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def notes_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if isinstance(text, Annotation)]


def test_error_and_rate_are_drawn_against_the_iteration(tmp_path: Path) -> None:
    axes = axes_of(figure_of(a_run(tmp_path / "net.log", [0.25, 0.75, 0.5])))
    error, rate = axes["top-1 error in %"], axes["learning rate"]
    assert np.asarray(error.lines[0].get_xydata()).tolist() == [[0, 75], [100, 25], [200, 50]]
    assert rate.lines[0].get_ydata() == pytest.approx([0.1] * 3)
    assert rate.yaxis.get_ticks_position() == "right"
    assert legend_of(error) == ["net: final 50.00 %, best 25.00 % at 100", "learning rate"]


def test_top5_is_dashed_and_losses_have_a_panel(tmp_path: Path) -> None:
    axes = axes_of(figure_of(a_run(tmp_path / "net.log", [0.25, 0.75]), top5=True, loss=True))
    assert list(axes) == ["error in %", "training loss", "learning rate"]
    top1, top5 = axes["error in %"].lines
    assert (top1.get_linestyle(), top5.get_linestyle()) == ("-", "--")
    assert top5.get_ydata() == pytest.approx([10, 10])
    assert axes["training loss"].lines[0].get_ydata() == pytest.approx([1.75, 1.25])
    assert legend_of(axes["error in %"])[:2] == [
        "net, top-1: final and best 25.00 %",
        "net, top-5: final and best 10.00 %",
    ]


def test_logs_over_one_another(tmp_path: Path) -> None:
    first, second = a_run(tmp_path / "a.log", [0.2, 0.5]), a_run(tmp_path / "b.log", [0.4, 0.6], rate=0.05)
    same = a_run(tmp_path / "c.log", [0.4, 0.6])
    axes = axes_of(figure_of(first, second, same))
    colours = {line.get_color() for line in axes["top-1 error in %"].lines}
    assert len(colours) == 3
    assert legend_of(axes["top-1 error in %"])[3:] == ["learning rate of a, c", "learning rate of b"]


def test_a_lone_result_is_a_marker_with_its_number(tmp_path: Path) -> None:
    messages = one_test(0, 0.600099, 0.818901)
    log = write_log(tmp_path / "test.log", "Iteration 0, loss = 0.828046", *messages, "Optimization Done.")
    axes = axes_of(figure_of(log))["top-1 error in %"]
    assert axes.lines[0].get_marker() == "o"
    assert notes_of(axes) == ["39.99 %"]
    assert list(axes.get_xticks()) == [0]
    text = plot_convergence([log], tmp_path / "x.png", top5=True).text
    assert "top-1 error 39.99 % at iteration 0 (output 'accuracy', 1 test)" in text
    assert "top-5 error 18.11 %" in text


def test_divergences_are_marked_where_they_were(tmp_path: Path) -> None:
    messages = one_test(0, 0.1) + one_step(0) + one_step(500) + one_step(740, math.nan)
    messages += ["Diverged at iteration 740: loss = nan", "Restarting from iteration 500 with seed 3"]
    messages += one_step(520) + one_step(740, math.nan) + ["Diverged at iteration 745: loss = nan"]
    messages += ["Restarting from iteration 500 with seed 4", *one_step(1000), *one_test(1000, 0.5)]
    log = write_log(tmp_path / "net.log", *messages)
    axes = axes_of(figure_of(log))["top-1 error in %"]
    assert [np.asarray(line.get_xdata())[0] for line in axes.lines[1:]] == [740, 745]
    assert notes_of(axes) == ["diverged ×2"]
    text = plot_convergence([log], tmp_path / "x.png").text
    assert "2 restarts; diverged at iteration 740, 745" in text


def test_lost_results_are_gaps(tmp_path: Path) -> None:
    log = write_log(tmp_path / "net.log", *one_test(0, 0.5), *one_test(100, math.nan), *one_test(200, 0.5))
    (line,) = axes_of(figure_of(log))["top-1 error in %"].lines
    assert np.isnan(np.asarray(line.get_ydata())).tolist() == [False, True, False]
    lost = write_log(tmp_path / "lost.log", *one_test(0, 0.5), *one_test(100, math.nan))
    assert "top-1 error lost" in plot_convergence([lost], tmp_path / "x.png").text


def test_without_test_results_the_loss_is_drawn_and_it_is_said(tmp_path: Path) -> None:
    log = write_log(tmp_path / "net.log", *one_step(0, 3.0), *one_step(20, 2.0))
    axes = axes_of(figure_of(log))
    assert list(axes) == ["training loss", "learning rate"]
    assert axes["training loss"].lines[0].get_ydata() == pytest.approx([3, 2])
    assert "no test result in the log, training loss drawn instead: 2" in plot_convergence(
        [log], tmp_path / "x.png"
    ).text  # fmt: skip
    beside = axes_of(figure_of(a_run(tmp_path / "a.log", [0.5, 0.6]), log))
    assert legend_of(beside["top-1 error in %"])[1] == "net: training loss, final 2"


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_files_of_each_kind_are_whole_and_repeatable(
    tmp_path: Path, ending: str, magic: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    log = a_run(tmp_path / "50$ _net.log", [0.25, 0.75])
    out = tmp_path / "plots" / f"x.{ending}"
    plot([log], out, title=r"_a $\fra$", labels=[r"_b$\x$"])
    first = out.read_bytes()
    assert first.startswith(magic)
    assert r"_b$\x$: top-1 error 25.00 %" in capsys.readouterr().out
    plot([log], out, title=r"_a $\fra$", labels=[r"_b$\x$"])
    assert out.read_bytes() == first
    assert list(out.parent.iterdir()) == [out]


def test_labels_are_run_folders_or_file_names(tmp_path: Path) -> None:
    run, other, plain = tmp_path / "a" / "train.log", tmp_path / "b" / "train.log", tmp_path / "c.log"
    assert default_labels([run, other, plain]) == ["a", "b", "c"]
    assert default_labels([run, run]) == [str(run), str(run)]


def test_what_is_refused(tmp_path: Path) -> None:
    log = a_run(tmp_path / "net.log", [0.25])
    out = tmp_path / "x.png"
    empty = write_log(tmp_path / "empty.log", "Solving Net")
    losses = write_log(tmp_path / "losses.log", *one_step(0))
    with pytest.raises(InputError, match=r"x\.jpg has none of the endings \.png, \.svg, \.pdf"):
        plot_convergence([log], tmp_path / "x.jpg")
    with pytest.raises(InputError, match="no log was named"):
        plot_convergence([], out)
    with pytest.raises(InputError, match="2 labels for 1 logs"):
        plot_convergence([log], out, labels=["a", "b"])
    with pytest.raises(InputError, match="neither a test result nor a loss"):
        plot_convergence([empty], out)
    with pytest.raises(InputError, match="no output 'accuracy'"):
        plot_convergence([losses], out, output="accuracy")
    assert not out.exists()


def test_labels_that_matplotlib_would_hide_are_in_the_legend(tmp_path: Path) -> None:
    axes = axes_of(figure_of(a_run(tmp_path / "_net.log", [0.25])))
    assert legend_of(axes["top-1 error in %"])[0].strip() == "_net: 75.00 %"
