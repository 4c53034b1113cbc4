"""The outlines of shapes and arrow heads, as polygons."""

import math

from batchbrew.caffe.drawing.layout import Box, Line, Point

HEAD_LENGTH, HEAD_WIDTH = 9.0, 3.5
CORNER = 0.29  # of an octagon's shorter side
ELLIPSE_POINTS = 48


def outline(box: Box) -> list[Point]:
    """The corners of a node's shape: what is no octagon or ellipse is a rectangle."""
    half_width, half_height = box.width / 2, box.height / 2
    if box.shape == "ellipse":
        angles = [2 * math.pi * step / ELLIPSE_POINTS for step in range(ELLIPSE_POINTS)]
        return [
            (box.x + half_width * math.cos(angle), box.y + half_height * math.sin(angle)) for angle in angles
        ]
    cut = CORNER * min(box.width, box.height) if box.shape == "octagon" else 0.0
    corners = []
    for over, down in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
        beside = (box.x + over * half_width, box.y + down * (half_height - cut))
        above = (box.x + over * (half_width - cut), box.y + down * half_height)
        corners += [beside, above] if over == down else [above, beside]
    return corners


def head(line: Line, scale: float = 1.0) -> list[Point]:
    """The triangle at the end of an edge."""
    (tail_x, tail_y), (x, y) = line.points[-2:]
    length = math.hypot(x - tail_x, y - tail_y)
    if length == 0:
        return [(x, y)] * 3
    over, down = (x - tail_x) / length, (y - tail_y) / length
    back = (x - over * HEAD_LENGTH * scale, y - down * HEAD_LENGTH * scale)
    side = (down * HEAD_WIDTH * scale, -over * HEAD_WIDTH * scale)
    return [(x, y), (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
