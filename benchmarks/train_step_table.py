"""What train_step.py found, as a table: on the screen, and on a page."""

from collections.abc import Iterator, Sequence

from benchmark_nets import NETS
from page import table_of, where_and_when
from step_times import Report, Row

from batchbrew.solver.precision import PRECISIONS

TITLES = {
    "bvlc": "BVLC Caffe", "engine_fp32": "engine", "plain_fp32": "plain PyTorch", "engine_bf16": "engine, bf16",
    "plain_bf16": "plain PyTorch, bf16", "engine_tf32": "engine, tf32", "plain_tf32": "plain PyTorch, tf32",
    "torchvision_bf16": "torchvision, bf16", "engine_bf16_lmdb": "engine, bf16, from an LMDB",
    "engine_fp32_lmdb": "engine, from an LMDB", "bvlc_lmdb": "BVLC Caffe, from an LMDB",
}  # fmt: skip
HEADINGS = ("net, batch", "", "ms a step", "images/s", "peak MB", "times BVLC", "times plain PyTorch")


def cells(found: Report) -> Iterator[tuple[str, ...]]:
    """In the order of HEADINGS, a row for each subject; the last rows are the geometric means."""
    for row in found["rows"]:
        for number, (name, each) in enumerate(row["subjects"].items()):
            net = "" if number else f"{NETS[row['net']].title}, {row['batch']}"
            yield (
                net, TITLES[name], f"{each['step_ms']:,.1f}", f"{each['images_per_second']:,.1f}",
                f"{each['peak_mb']:,}", *_ratios(row, name),
            )  # fmt: skip
    for precision in PRECISIONS:
        bvlc = found.get(f"geomean_{precision}")
        plain = found.get(f"geomean_{precision}_plain")
        if bvlc or plain:
            yield "geometric mean", TITLES[f"engine_{precision}"], "", "", "", _times(bvlc), _times(plain)


def _ratios(row: Row, name: str) -> tuple[str, str]:
    engine, _, precision = name.partition("_")
    if engine != "engine":
        return "", ""
    return _times(row.get(f"{precision}_times_bvlc")), _times(row.get(f"{precision}_times_plain"))


def _times(ratio: float | None) -> str:
    return f"{ratio:.2f}" if ratio else ""


def table(found: Report) -> list[str]:
    """Lines for the screen."""
    rows = [HEADINGS, *cells(found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return [_aligned(row, widths) for row in rows]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    words = [
        cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(words).rstrip()


def for_page(found: Report, name: str) -> str:
    """The same in Markdown, with where and when, and the picture results/NAME.png."""
    about = f"medians of {found['rounds']} rounds of {found['steps']} iterations."
    return "\n\n".join(
        [
            table_of(HEADINGS, cells(found), words=2),
            f"{where_and_when(found.get('gpu'))}; {about}",
            f"![speed and memory of a training step](results/{name}.png)",
        ]
    )
