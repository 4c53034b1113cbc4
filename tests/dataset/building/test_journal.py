from collections.abc import Iterator
from pathlib import Path

import pytest

from batchbrew.dataset.building import tally as tallying
from batchbrew.dataset.building.journal import Journal, JournalDamage
from batchbrew.dataset.building.tally import Tally
from batchbrew.dataset.making import Made


def made(odd: tuple[str, ...] = (), kind: str = "JPEG", value: int = 3) -> Made:
    """Two pixels of one channel, both `value`."""
    return Made(b"", (1, 2), (1, 2), kind, odd, False, (2.0 * value,), (2.0 * value**2,))


def batch(*indices: int, quarantined: int | None = None) -> Tally:
    tally = Tally()
    for index in indices:
        tally.add(index, made(("CMYK",) if index % 2 else ()))
    if quarantined is not None:
        tally.quarantined.append((quarantined, "is empty"))
    return tally


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    journal.close()


def test_what_the_lmdb_has_is_kept(journal: Journal, tmp_path: Path) -> None:
    journal.append(2, 2, batch(0, 1))
    journal.append(5, 4, batch(2, 3, quarantined=4))
    journal.append(7, 6, batch(5, 6))
    progress = journal.go_back_to(4)  # the third transaction never was
    assert (progress.position, progress.images) == (5, 4)
    assert progress.tally.quarantined == [(4, "is empty")]
    assert (progress.tally.odd, progress.tally.odd_named) == ({"CMYK": 2}, {"CMYK": [1, 3]})
    found = progress.tally.pixel_sums
    assert (found.pixels, found.sums, found.squares) == (8, [24], [72])
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == 2
    journal.append(6, 5, batch(5))
    assert journal.go_back_to(5).position == 6


def test_quarantined_alone_make_no_transaction(journal: Journal) -> None:
    journal.append(1, 0, batch(quarantined=0))
    journal.append(3, 2, batch(1, 2))
    progress = journal.go_back_to(0)
    assert (progress.position, progress.tally.quarantined) == (1, [(0, "is empty")])


def test_damage(journal: Journal, tmp_path: Path) -> None:
    journal.append(2, 2, batch(0, 1))
    with pytest.raises(JournalDamage, match="speaks of 2 records, its LMDB has 3"):
        journal.go_back_to(3)
    with pytest.raises(JournalDamage, match="speaks of 0 records, its LMDB has 1"):
        journal.go_back_to(1)
    for line in (b"no json\n", b"[]\n", b'{"images": 0, "position": 1}\n'):
        (tmp_path / "journal.jsonl").write_bytes(line)
        with pytest.raises(JournalDamage, match="line 1"):
            journal.go_back_to(0)


def test_odd_ones_are_all_counted_and_some_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "NAMED", 3)
    whole = batch(1)
    whole.merge(Tally.from_json(batch(3, 5, 7).to_json()))
    assert (whole.odd["CMYK"], whole.odd_named["CMYK"]) == (4, [1, 3, 5])


def test_mean_and_deviation() -> None:
    tally = Tally()
    tally.add(0, made(value=1))
    tally.add(1, made(value=4))
    assert (tally.pixel_sums.mean(), tally.pixel_sums.std()) == ([2.5], [1.5])
    assert Tally().pixel_sums.mean() == Tally().pixel_sums.std() == []
