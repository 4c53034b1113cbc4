"""Tables find their place on a page by marks."""

from pathlib import Path

import pytest
from page import check_place, table_of, where_and_when, write_on_page

from batchbrew.errors import InputError


def test_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- it: begin -->\nold\n<!-- it: end -->\nafter\n")
    write_on_page("it", "new", page)
    write_on_page("it", "newer", page)
    assert page.read_text() == "before\n<!-- it: begin -->\n\nnewer\n\n<!-- it: end -->\nafter\n"


@pytest.mark.parametrize("text", ["", "<!-- it: begin -->", "<!-- it: end --> <!-- it: begin -->"])
def test_a_page_without_a_place_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "README.md"
    page.write_text(text)
    with pytest.raises(
        InputError, match="has no place for the table: write <!-- it: begin --> and <!-- it: end -->"
    ):
        check_place("it", page)
    assert page.read_text() == text


@pytest.mark.parametrize("name", ["train_step", "train_step_gpu", "end_to_end", "end_to_end_gpu"])
def test_our_page_has_a_place_for_each(name: str) -> None:
    check_place(name)


def test_markdown() -> None:
    assert table_of(["net", "ms"], [["a", "1"], ["b", "2"]], words=1) == "\n".join(
        ["| net | ms |", "| --- | --: |", "| a | 1 |", "| b | 2 |"]
    )
    assert where_and_when("H100").startswith("H100, 20")
