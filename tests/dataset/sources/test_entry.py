import pytest

from batchbrew.dataset.sources import Entry, EntryTable
from tests.dataset.sources.trees import file_name

ENTRIES = [
    Entry("a/1.jpg", 0),
    Entry("", 7),
    Entry("kätzchen/ß.png", 2**31 - 1),
    Entry(file_name(b"\xe4.jpg"), 1),
]


def test_a_table_is_a_sequence_of_what_was_put_in() -> None:
    table = EntryTable()
    for entry in ENTRIES:
        table.append(entry)
    assert (len(table), list(table)) == (4, ENTRIES)
    assert [table[0], table[-1], table[2]] == [ENTRIES[0], ENTRIES[-1], ENTRIES[2]]
    assert (table[1:3], table[::-1]) == (ENTRIES[1:3], ENTRIES[::-1])
    for index in (4, -5):
        with pytest.raises(IndexError):
            table[index]


def test_a_label_that_is_none_leaves_the_table_as_it_was() -> None:
    table = EntryTable()
    with pytest.raises(OverflowError):
        table.append(Entry("a", 2**31))
    assert list(table) == []
