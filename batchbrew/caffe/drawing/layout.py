"""Where to draw the nodes and edges of a graph: in ranks, from the first node to the last, few crossings.

Nodes are given in the order in which a net computes them. Whatever leads backward, as the second edge of a layer that
works in place, is drawn between the ranks that the forward edges give. Lengths are in pixels.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from batchbrew.errors import InputError

CHARACTER_WIDTH, LINE_HEIGHT = 8, 18
PADDING = 10
RANK_GAP, NODE_GAP = 44, 14
SWEEPS = 6
MAX_PLACES = 200_000  # nodes, and places where edges pass ranks

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A node: its middle, its size, and what is in it."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    shape: str
    fillcolor: str


@dataclass(frozen=True)
class Line:
    """An edge through `points`, the last of which is its head."""

    points: tuple[Point, ...]
    label: str


@dataclass(frozen=True)
class Drawing:
    """All of it, from 0 to `width` and `height`, y downward."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


class _Places:
    """Nodes, and the places where long edges pass a rank, by number; all in a picture that grows to the right."""

    def __init__(self) -> None:
        self.rank: list[int] = []
        self.along: list[float] = []  # size along the ranks' direction
        self.across: list[float] = []
        self.neighbours: list[tuple[list[int], list[int]]] = []  # before, after

    def add(self, rank: int, along: float = 0, across: float = 0) -> int:
        if len(self.rank) == MAX_PLACES:
            raise InputError(f"a graph of more than {MAX_PLACES:,} places is not drawn: write it as .dot")
        self.rank.append(rank)
        self.along.append(along)
        self.across.append(across)
        self.neighbours.append(([], []))
        return len(self.rank) - 1

    def join(self, before: int, after: int) -> None:
        self.neighbours[before][1].append(after)
        self.neighbours[after][0].append(before)


def lay_out(
    texts: Mapping[str, Sequence[str]],
    looks: Mapping[str, tuple[str, str]],
    edges: Sequence[tuple[str, str, str]],
    rankdir: str,
) -> Drawing:
    """Draw nodes with `texts` and `looks` (shape and colour) and `edges` (from, to, label). Raises InputError."""
    upright = rankdir in ("TB", "BT")
    places = _Places()
    ranks = _ranks(texts, edges)
    numbers = {}
    for key, lines in texts.items():
        size = _size(lines)
        numbers[key] = places.add(ranks[key], *(size[::-1] if upright else size))
    chains = [_chain(places, numbers[source], numbers[target]) for source, target, _ in edges]
    across = _across(places)
    along, length = _along(places)
    breadth = (
        max((at + size / 2 for at, size in zip(across, places.across, strict=True)), default=0) + PADDING
    )

    def point(along_at: float, across_at: float) -> Point:
        at = length - along_at if rankdir in ("RL", "BT") else along_at
        return (across_at, at) if upright else (at, across_at)

    boxes = {
        key: Box(*point(along[number], across[number]), *_size(lines), tuple(lines), *looks[key])
        for (key, lines), number in zip(texts.items(), numbers.values(), strict=True)
    }
    drawn = [
        _line(boxes[source], boxes[target], [point(along[n], across[n]) for n in chain], label)
        for (source, target, label), chain in zip(edges, chains, strict=True)
    ]
    width, height = (breadth, length) if upright else (length, breadth)
    return Drawing(width, height, tuple(boxes.values()), tuple(drawn))


def _size(lines: Sequence[str]) -> tuple[float, float]:
    longest = max((len(line) for line in lines), default=0)
    return longest * CHARACTER_WIDTH + 2 * PADDING, len(lines) * LINE_HEIGHT + PADDING


def _ranks(keys: Mapping[str, object], edges: Sequence[tuple[str, str, str]]) -> dict[str, int]:
    """Each node one rank after the last of those that lead to it, of which only earlier ones count."""
    order = {key: index for index, key in enumerate(keys)}
    sources = defaultdict(list)
    for source, target, _ in edges:
        if order[source] < order[target]:
            sources[target].append(source)
    ranks: dict[str, int] = {}
    for key in keys:
        ranks[key] = max((ranks[source] + 1 for source in sources[key]), default=0)
    return ranks


def _chain(places: _Places, source: int, target: int) -> list[int]:
    """The places of an edge from rank to rank, its ends included."""
    first, last = sorted((source, target), key=lambda number: places.rank[number])
    chain = [first]
    for rank in range(places.rank[first] + 1, places.rank[last]):
        chain.append(places.add(rank))
        places.join(chain[-2], chain[-1])
    if places.rank[first] != places.rank[last]:
        places.join(chain[-1], last)
    chain.append(last)
    return chain if first == source else chain[::-1]


def _across(places: _Places) -> list[float]:
    """The middles of all places across the ranks: near their neighbours, without overlap."""
    by_rank: dict[int, list[int]] = defaultdict(list)
    for number, rank in enumerate(places.rank):
        by_rank[rank].append(number)
    at = [0.0] * len(places.rank)
    for numbers in by_rank.values():
        _spread(places, numbers, at)
    for sweep in range(SWEEPS):
        side = sweep % 2  # forward by what is before, backward by what is after
        for rank in sorted(by_rank, reverse=bool(side)):
            for number in by_rank[rank]:
                if joined := places.neighbours[number][side]:
                    at[number] = sum(at[other] for other in joined) / len(joined)
            by_rank[rank].sort(key=lambda number: at[number])
            _spread(places, by_rank[rank], at)
    lowest = min((at[n] - places.across[n] / 2 for n in range(len(at))), default=0)
    return [value - lowest + PADDING for value in at]


def _spread(places: _Places, numbers: Sequence[int], at: list[float]) -> None:
    """Move the places of one rank apart, in their order, and as little as that takes on the whole."""
    moved = 0.0
    end = float("-inf")
    for number in numbers:
        half = (places.across[number] + NODE_GAP) / 2
        new = max(at[number], end + half)
        moved += new - at[number]
        at[number], end = new, new + half
    for number in numbers:
        at[number] -= moved / len(numbers)


def _along(places: _Places) -> tuple[list[float], float]:
    """The middles of all places along the ranks, and the length of it all."""
    thickness: dict[int, float] = defaultdict(float)
    for rank, along in zip(places.rank, places.along, strict=True):
        thickness[rank] = max(thickness[rank], along)
    middles, end = {}, float(PADDING)
    for rank in sorted(thickness):
        middles[rank] = end + thickness[rank] / 2
        end += thickness[rank] + RANK_GAP
    return [middles[rank] for rank in places.rank], max(end - RANK_GAP, PADDING) + PADDING


def _line(source: Box, target: Box, points: list[Point], label: str) -> Line:
    """An edge from border to border."""
    points[0] = _border(source, points[1])
    points[-1] = _border(target, points[-2] if len(points) > 2 else (source.x, source.y))
    return Line(tuple(points), label)


def _border(box: Box, towards: Point) -> Point:
    """Where the way from the middle of `box` leaves it."""
    over, down = towards[0] - box.x, towards[1] - box.y
    if over == down == 0:
        return box.x, box.y
    shares = [half / abs(way) for half, way in ((box.width / 2, over), (box.height / 2, down)) if way]
    share = min(1.0, *shares)
    return box.x + over * share, box.y + down * share


def scaled(drawing: Drawing, factor: float) -> Drawing:
    """The drawing at another size; its texts are not part of that."""
    boxes = tuple(
        replace(box, x=box.x * factor, y=box.y * factor, width=box.width * factor, height=box.height * factor)
        for box in drawing.boxes
    )
    lines = tuple(
        Line(tuple((x * factor, y * factor) for x, y in line.points), line.label) for line in drawing.lines
    )
    return Drawing(drawing.width * factor, drawing.height * factor, boxes, lines)
