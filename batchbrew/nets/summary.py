"""A network's layers with what each costs, and the totals: as rows, as Markdown, as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchbrew.nets.shapes import LayerShapes, NetworkShapes, Shape
from batchbrew.nets.shapes.registry import by

# Of a table: what is in a column, and its unit.
COLUMNS = (
    ("layer", ""), ("type", ""), ("output", ""), ("parameters", ""), ("mult-adds", "(M)"), ("training", "(MiB)"),
    ("deployed", "(MiB)"),
)  # fmt: skip
BYTES = 4  # of a number: Caffe computes in 32-bit floats


@dataclass(frozen=True)
class Row:
    """One layer. The memory is in bytes, as the multiply-adds for one image."""

    name: str
    type: str
    tops: Mapping[str, Shape]
    learned: int
    statistics: int
    shared: bool
    multiply_adds: float
    training_bytes: float
    deployment_bytes: float

    @property
    def output(self) -> str:
        """The shapes of its tops: 16×64×112×112, several with a comma, the same ones once."""
        return ", ".join(dict.fromkeys(by(shape) if shape else "scalar" for shape in self.tops.values()))


@dataclass(frozen=True)
class Summary:
    """Of a network in one phase; `batch` images go through it at once.

    `logged_bytes` is what Caffe's log calls "Memory required for data", of the whole batch.
    """

    name: str
    phase: str
    batch: int
    rows: Sequence[Row]
    logged_bytes: int
    notes: Sequence[str]

    @property
    def learned(self) -> int:
        """Weights and biases."""
        return sum(row.learned for row in self.rows)

    @property
    def statistics(self) -> int:
        """BatchNorm's means, variances and factors."""
        return sum(row.statistics for row in self.rows)

    @property
    def multiply_adds(self) -> float:
        """For one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def training_bytes(self) -> float:
        """For one image."""
        return sum(row.training_bytes for row in self.rows)

    @property
    def deployment_bytes(self) -> float:
        """For one image."""
        return sum(row.deployment_bytes for row in self.rows)

    @property
    def parameter_bytes(self) -> int:
        """All that a caffemodel holds."""
        return BYTES * (self.learned + self.statistics)


def summarise(name: str, phase: str, shapes: NetworkShapes) -> Summary:
    """Caffe's own Split layers have no row: the memory of their gradients counts for the layer before them."""
    rows: list[Row] = []
    for layer in shapes.layers:
        if layer.split:
            gradients = BYTES * layer.gradient_numbers / shapes.batch
            rows[-1] = replace(rows[-1], training_bytes=rows[-1].training_bytes + gradients)
        else:
            rows.append(_row(layer, shapes.batch))
    return Summary(name, phase, shapes.batch, rows, shapes.logged_bytes, _notes(shapes))


def _row(layer: LayerShapes, batch: int) -> Row:
    data = BYTES * layer.data_numbers / batch
    return Row(
        name=layer.layer.name,
        type=layer.layer.type,
        tops=layer.tops,
        learned=layer.learned,
        statistics=layer.statistics,
        shared=any(parameter.owner for parameter in layer.parameters),
        multiply_adds=layer.multiply_adds / batch,
        training_bytes=data + BYTES * layer.gradient_numbers / batch,
        deployment_bytes=data,
    )


def _notes(shapes: NetworkShapes) -> list[str]:
    return [
        f"layer {layer.layer.name} ({layer.layer.type}): {text}"
        for layer in shapes.layers
        for text in (layer.overhang, layer.note)
        if text
    ]


def as_json(summary: Summary) -> str:
    """All numbers, unrounded."""
    layers = [
        {
            "name": row.name,
            "type": row.type,
            "tops": {name: list(shape) for name, shape in row.tops.items()},
            "parameters": row.learned,
            "statistics": row.statistics,
            "shares_parameters": row.shared,
            "multiply_adds": _whole(row.multiply_adds),
            "training_bytes": _whole(row.training_bytes),
            "deployment_bytes": _whole(row.deployment_bytes),
        }
        for row in summary.rows
    ]
    report: dict[str, Any] = {
        "name": summary.name,
        "phase": summary.phase,
        "batch": summary.batch,
        "parameters": summary.learned,
        "statistics": summary.statistics,
        "parameter_bytes": summary.parameter_bytes,
        "per_image": {
            "multiply_adds": _whole(summary.multiply_adds),
            "training_bytes": _whole(summary.training_bytes),
            "deployment_bytes": _whole(summary.deployment_bytes),
        },
        "memory_required_for_data": summary.logged_bytes,
        "layers": layers,
        "notes": list(summary.notes),
    }
    return json.dumps(report, indent=1)


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def as_markdown(summary: Summary) -> str:
    """A table for documentation, and the totals below it."""
    lines = [
        f"## {summary.name}",
        "",
        "| " + " | ".join(" ".join(header).strip() for header in COLUMNS) + " |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in summary.rows:
        cells = (f"`{row.name}`", row.type, row.output, *cost_cells(row))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", *(f"- {line}" for line in total_lines(summary)), ""])


def cost_cells(row: Row) -> tuple[str, str, str, str]:
    """What stands in the last four COLUMNS; nothing for what is none."""
    parameters = row.learned + row.statistics
    return (
        f"{parameters:,}" if parameters else "shared" if row.shared else "",
        _shown(row.multiply_adds / 1e6),
        _shown(row.training_bytes / 2**20),
        _shown(row.deployment_bytes / 2**20),
    )


def _shown(number: float) -> str:
    return f"{number:,.3f}" if number >= 0.0005 else "" if number == 0 else "0.000"


def total_lines(summary: Summary) -> list[str]:
    """What stands below the table."""
    return [
        f"phase {summary.phase}, {summary.batch:,} image{'s' * (summary.batch != 1)} at a time",
        f"{summary.learned:,} parameters and {summary.statistics:,} BatchNorm statistics: "
        f"{mebibytes(summary.parameter_bytes)}",
        f"{summary.multiply_adds:,.0f} multiply-adds an image",
        f"blobs, an image: {mebibytes(summary.training_bytes)} for training, "
        f"{mebibytes(summary.deployment_bytes)} for deployment; "
        f"Caffe's log: Memory required for data: {summary.logged_bytes}",
        *(f"note: {note}" for note in summary.notes),
    ]


def mebibytes(number: float) -> str:
    """3.06 MiB, or KiB and bytes for less."""
    if number >= 2**20:
        return f"{number / 2**20:,.2f} MiB"
    return f"{number / 2**10:.1f} KiB" if number >= 2**10 else f"{number:.0f} B"
