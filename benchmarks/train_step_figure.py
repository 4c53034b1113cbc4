"""What train_step.py found, as a picture: for each net the subjects' images a second, and their memory."""

from pathlib import Path

import matplotlib
from benchmark_nets import NETS
from measuring import machine
from step_times import Report
from train_step_table import TITLES

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

COLOURS = {
    "bvlc": "#9a9a9a", "plain_fp32": "#9ecae1", "engine_fp32": "#2171b5", "plain_tf32": "#9ecae1",
    "engine_tf32": "#2171b5", "plain_bf16": "#fdbe85", "engine_bf16": "#d94801",
}  # fmt: skip
WIDTH = 0.82  # of all bars of a net; nets are 1 apart
GIGABYTE_IN_MB = 1024


def draw(found: Report, path: Path) -> None:
    """Write the picture. Speeds are in units of BVLC's or, where it was not measured, of plain PyTorch's."""
    names = [name for name in COLOURS if name in found["rows"][0]["subjects"]]
    unit = "bvlc" if "bvlc" in names else next((name for name in names if name.startswith("plain")), names[0])
    figure, (speed, memory) = pyplot.subplots(2, 1, figsize=(10, 7), layout="constrained")
    for place, row in enumerate(found["rows"]):
        subjects = row["subjects"]
        rate = {name: subjects[name]["images_per_second"] for name in names}
        bars(
            speed,
            place,
            [rate[name] / rate[unit] for name in names],
            names,
            [f"{rate[n]:.3g}" for n in names],
        )
        used = [subjects[name]["peak_mb"] / GIGABYTE_IN_MB for name in names]
        bars(memory, place, used, names, [f"{each:.2g}" for each in used])
    for axes in (speed, memory):
        axes.set_xticks(
            range(len(found["rows"])),
            [f"{NETS[row['net']].title}, batch {row['batch']}" for row in found["rows"]],
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(y=0.12)
    speed.axhline(1, color="#9a9a9a", linewidth=0.8, zorder=0)
    speed.set_ylabel(f"speed by that of {TITLES[unit]}")
    speed.set_title("Training step: images a second above the bars", loc="left", fontsize=11)
    memory.set_ylabel("peak memory, GB")
    speed.legend(ncols=3, frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(0, -0.1))
    figure.suptitle(found.get("gpu") or machine(), fontsize=9, x=0.99, ha="right", color="#555555")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def bars(axes: Axes, place: int, heights: list[float], names: list[str], labels: list[str]) -> None:
    """A net's bars, side by side around `place`, each with its label above."""
    width = WIDTH / len(names)
    for number, (name, height) in enumerate(zip(names, heights, strict=True)):
        x = place - WIDTH / 2 + (number + 0.5) * width
        label = TITLES[name] if place == 0 else None
        container = axes.bar(x, height, width * 0.94, color=COLOURS[name], label=label)
        axes.bar_label(container, [labels[number]], fontsize=7.5, padding=1)
