"""A directed graph with labels: Graphviz's text of it, and pictures."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchbrew.atomic import write_file
from batchbrew.caffe.drawing.layout import Drawing, lay_out
from batchbrew.caffe.drawing.raster import RASTER_FORMATS, raster_picture
from batchbrew.caffe.drawing.svg import svg_picture
from batchbrew.errors import InputError

TEXT_FORMATS = ("dot", "gv", "raw")
RANKDIRS = ("LR", "RL", "TB", "BT")
DOT_SECONDS = 300  # what Graphviz may take for the largest nets

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n"} | {character: f"\\{character}" for character in "{}|<>"}


@dataclass(frozen=True)
class Node:
    """`lines` of its label; `shape` is one of Graphviz's: record, octagon or ellipse."""

    lines: tuple[str, ...]
    shape: str = "ellipse"
    fillcolor: str = "#FFFFFF"


@dataclass(frozen=True)
class Edge:
    """From node `src` to node `dst`, by their keys."""

    src: str
    dst: str
    label: str = ""


@dataclass
class Graph:
    """Nodes by key, in the order in which they are to be drawn, along `rankdir`: LR, RL, TB or BT.

    It has the methods of pydot's graphs that scripts call: to_string, create(format=), write(path, format=), and
    create_png, write_png and the like.
    """

    name: str
    rankdir: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.rankdir not in RANKDIRS:
            raise InputError(f"rankdir is one of {', '.join(RANKDIRS)}, not {self.rankdir!r}")

    def to_string(self) -> str:
        """The graph in Graphviz's language."""
        lines = [f"digraph {_quoted(self.name)} {{", f"rankdir={self.rankdir};"]
        for key, node in self.nodes.items():
            # a label's line breaks are written \n, a record's own characters escaped
            label = "\\n".join(_escaped(line) for line in node.lines)
            lines.append(
                f'{_quoted(key)} [label="{label}", shape={node.shape}, style=filled, fillcolor="{node.fillcolor}"];'
            )
        for edge in self.edges:
            label = f" [label={_quoted(edge.label)}]" if edge.label else ""
            lines.append(f"{_quoted(edge.src)} -> {_quoted(edge.dst)}{label};")
        return "\n".join([*lines, "}", ""])

    def create(self, prog: str = "dot", format: str = "ps") -> bytes:
        """The graph as a file of `format`, drawn by the Graphviz program `prog` if that is installed.

        Without Graphviz: dot, gv, raw (all of them its text), svg, and png and other formats of pixels. Raises
        InputError for others, naming what to install.
        """
        kind = format.lower()
        if kind in TEXT_FORMATS:
            return self.to_string().encode()
        program = shutil.which(prog)
        if program:
            return self._drawn_by(program, kind)
        if kind == "svg":
            return svg_picture(self._layout()).encode()
        if kind in RASTER_FORMATS:
            return raster_picture(self._layout(), kind)
        raise InputError(
            f"a graph cannot be drawn as {format!r} without Graphviz: install it (sudo apt-get install graphviz), or "
            f"choose one of {', '.join((*TEXT_FORMATS, 'svg', *RASTER_FORMATS))}"
        )

    def write(self, path: str | Path, prog: str = "dot", format: str = "raw") -> bool:
        """Write what `create` gives to `path` in one step."""
        write_file(Path(path), self.create(prog, format))
        return True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb, _, kind = name.partition("_")
        if verb == "create" and kind:
            return lambda prog="dot": self.create(prog, kind)
        if verb == "write" and kind:
            return lambda path, prog="dot": self.write(path, prog, kind)
        raise AttributeError(name)

    def _drawn_by(self, program: str, kind: str) -> bytes:
        try:
            done = subprocess.run(
                [program, f"-T{kind}"],
                input=self.to_string().encode(),
                capture_output=True,
                timeout=DOT_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{program} did not draw the graph: {error}") from error
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().split("\n")[0]
            raise InputError(f"{program} did not draw the graph as {kind!r}: {reason}")
        return done.stdout

    def _layout(self) -> Drawing:
        texts = {key: node.lines for key, node in self.nodes.items()}
        looks = {key: (node.shape, node.fillcolor) for key, node in self.nodes.items()}
        return lay_out(texts, looks, [(edge.src, edge.dst, edge.label) for edge in self.edges], self.rankdir)


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
