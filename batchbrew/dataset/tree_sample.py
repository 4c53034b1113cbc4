"""Records from all over an LMDB, without a walk through all of it.

The inner pages of its tree are read, one for each hundred leaves or so, and of the leaves those on which records are
wanted: of a million records some hundred pages and some for each record, where a walk takes tens of thousands.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from batchbrew.dataset.lmdb_cursor import LmdbCursor
from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile, Page

# For each record that is wanted, so many leaves are read to know how many records lie on them.
COUNTED_LEAVES = 4


def spread_records(file: LmdbFile, wanted: int) -> Iterator[tuple[bytes, bytes]]:
    """Up to `wanted` keys and values at even distances, in order, none twice; all, if there are no more.

    Of an LMDB with many leaves they come from leaves at even distances, whether those are full or not: what
    convert_imageset writes may have leaves of one record beside some of a hundred. Raises LmdbDamage, or OSError.
    """
    if file.meta.entries <= wanted:
        yield from LmdbCursor(file)
        return
    leaves = _leaves(file)
    if len(leaves) <= COUNTED_LEAVES * wanted:
        places = _by_number(file, leaves, wanted)
    else:
        places = ((leaves[number * len(leaves) // wanted], number / wanted) for number in range(wanted))
    for page_number, part in places:
        leaf = _leaf(file, page_number)
        place = int(part * len(leaf.nodes))
        yield file.key(leaf, place), file.value(leaf, place)


def _by_number(file: LmdbFile, leaves: Sequence[int], wanted: int) -> Iterator[tuple[int, float]]:
    """The leaf of each record that is wanted, and behind what part of the leaf's records it lies."""
    counts = [len(_leaf(file, number).nodes) for number in leaves]
    firsts = [0, *accumulate(counts)]
    for number in range(wanted):
        record = number * firsts[-1] // wanted
        at = bisect_right(firsts, record) - 1
        yield leaves[at], (record - firsts[at] + 0.5) / counts[at]


def _leaf(file: LmdbFile, number: int) -> Page:
    page = file.page(number)
    if not page.leaf:
        raise LmdbDamage(f"page {number} is not on its level")
    return page


def _leaves(file: LmdbFile) -> list[int]:
    """The numbers of all leaves, in order."""
    pages = [file.meta.root]
    for _ in range(file.meta.levels - 1):
        below: list[int] = []
        for number in pages:
            page = file.page(number)
            if page.leaf:
                raise LmdbDamage(f"page {number} is not on its level")
            below += [file.child(page, place) for place in range(len(page.nodes))]
            if len(below) > file.meta.last_page:
                raise LmdbDamage(f"there are more pages than the {file.meta.last_page + 1:,} that it names")
        pages = below
    return pages
