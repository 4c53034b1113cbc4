"""Ratios and means of a benchmark of training steps; the table of them."""

from pathlib import Path

from asking import Measured
from benchmark_nets import NETS
from step_times import Length, geometric_mean, report, row_of
from train_step_figure import draw
from train_step_table import for_page, table

MEASURED = {
    "bvlc": Measured([4.0, 6.0, 3.0], 4 << 30),
    "engine_fp32": Measured([1.0, 2.0, 1.5], 1 << 30),
    "plain_fp32": Measured([1.0, 1.0, 3.0], 2 << 30),
    "engine_bf16": Measured([0.5, 0.5, 1.0], 1 << 29),
}


def test_ratios_are_medians_over_rounds() -> None:
    row = row_of(NETS["resnet10"], MEASURED)
    assert (row["net"], row["batch"], row["crop"]) == ("resnet10", 16, 224)
    assert row["subjects"]["engine_fp32"] == {
        "step_ms": 1500.0, "fastest_step_ms": 1000.0, "images_per_second": 10.67, "peak_mb": 1024,
    }  # fmt: skip
    assert row["fp32_times_bvlc"] == 3.0  # 4, 3, 2
    assert row["fp32_times_plain"] == 1.0  # 1, 0.5, 2
    assert row["bf16_times_bvlc"] == 8.0  # 8, 12, 3
    assert row["fp32_memory_by_bvlc"] == 0.25
    assert "bf16_times_plain" not in row  # it was not there


def test_geometric_mean() -> None:
    rows = [{"x": 2.0, "y": 1.0}, {"x": 8.0}]
    assert geometric_mean(rows, "x") == 4.0
    assert geometric_mean(rows, "y") is None
    assert geometric_mean([], "x") is None


def test_report_and_table() -> None:
    rows = [row_of(NETS["resnet10"], MEASURED), row_of(NETS["vgg19"], MEASURED)]
    found = report(rows, Length(3, 2))
    assert (found["geomean_fp32"], found["geomean_bf16"], found["geomean_bf16_plain"]) == (3.0, 8.0, None)
    lines = table(found)
    assert lines[2].split() == ["engine", "1,500.0", "10.7", "1,024", "3.00", "1.00"]
    assert lines[-1].split()[:4] == ["geometric", "mean", "engine,", "bf16"]


def test_table_for_a_page() -> None:
    found = report([row_of(NETS["resnet10"], MEASURED)], Length(3, 2))
    text = for_page(found, "train_step")
    assert text.startswith("| net, batch |  | ms a step |")
    assert "| --- | --- | --: | --: | --: | --: | --: |\n" in text
    assert "| ResNet-10, 16 | BVLC Caffe | 4,000.0 | 4.0 | 4,096 |  |  |" in text
    assert "; medians of 3 rounds of 2 iterations." in text
    assert text.endswith("![speed and memory of a training step](results/train_step.png)")


def test_picture(tmp_path: Path) -> None:
    draw(report([row_of(NETS["alexnet"], MEASURED)], Length(3, 2)), tmp_path / "made" / "it.png")
    assert (tmp_path / "made" / "it.png").read_bytes().startswith(b"\x89PNG")
