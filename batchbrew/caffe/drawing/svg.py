"""A drawing as SVG."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

from batchbrew.caffe.drawing.layout import LINE_HEIGHT, Drawing, Point
from batchbrew.caffe.drawing.outlines import head, outline

FONT_SIZE = 13


def svg_picture(drawing: Drawing) -> str:
    """The text of an SVG file."""
    size = f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<g font-family="monospace" font-size="{FONT_SIZE}" text-anchor="middle" stroke-linejoin="round">',
    ]
    for line in drawing.lines:
        parts.append(f'<polyline points="{_points(line.points)}" fill="none" stroke="black"/>')
        parts.append(f'<polygon points="{_points(head(line))}"/>')
        if line.label:
            (x, y), (next_x, next_y) = line.points[:2]
            parts.append(_text((x + next_x) / 2, (y + next_y) / 2 - 4, line.label))
    for box in drawing.boxes:
        colour = escape(box.fillcolor, {'"': "&quot;"})
        parts.append(f'<polygon points="{_points(outline(box))}" fill="{colour}" stroke="black"/>')
        first = box.y - (len(box.lines) - 1) / 2 * LINE_HEIGHT + FONT_SIZE / 3
        parts += [_text(box.x, first + index * LINE_HEIGHT, line) for index, line in enumerate(box.lines)]
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(x: float, y: float, text: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return f'<text x="{x:.1f}" y="{y:.1f}">{escape(printable)}</text>'
