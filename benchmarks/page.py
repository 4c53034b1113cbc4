"""Tables of results on benchmarks/README.md, each between two marks of its own, which are lines there."""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path

from measuring import machine

from batchbrew.atomic import write_file
from batchbrew.errors import InputError

README = Path(__file__).with_name("README.md")
MARKS = "<!-- {name}: begin -->", "<!-- {name}: end -->"


def check_place(name: str, page: Path = README) -> None:
    """Raises InputError if the page has no place for a table of that name: better before hours of measuring."""
    _split(name, page)


def write_on_page(name: str, content: str, page: Path = README) -> None:
    """Replace what stands between the marks of that name."""
    before, after = _split(name, page)
    write_file(page, f"{before}\n\n{content}\n\n{after}")


def _split(name: str, page: Path) -> tuple[str, str]:
    """The page up to the first mark, and from the second on; both with their mark."""
    begin, end = (mark.format(name=name) for mark in MARKS)
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(f"{page} has no place for the table: write {begin} and {end} there, a line each")
    return text[: text.index(begin)] + begin, text[text.index(end) :]


def table_of(headings: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    """Of Markdown; all columns but the first `words` are numbers."""
    ruler = ["---"] * words + ["--:"] * (len(headings) - words)
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ruler, *rows))


def where_and_when(gpu: str | None = None) -> str:
    """The machine and today."""
    return f"{gpu or machine()}, {datetime.date.today().isoformat()}"
