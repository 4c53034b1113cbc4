from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.dataset import contact_sheet as contact_sheet_module
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.contact_sheet import CAPTION, GAP, TILE, contact_sheet, write_contact_sheet
from batchbrew.dataset.images import Image
from batchbrew.dataset.reader import Record
from batchbrew.dataset.sources import Entry, FilesSource
from batchbrew.errors import InputError
from tests.dataset.lmdbs import break_page_of, change, pixel_lmdb, raw_datum
from tests.dataset.pictures import write_pictures


def test_tiles_are_in_reading_order_with_a_caption() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    records = [
        Record(b"", label, np.full((20, 40, 3), colour, np.uint8)) for label, colour in enumerate(colours)
    ]
    sheet = contact_sheet(records, ["ä", "b"])
    assert sheet.shape == (2 * (TILE + CAPTION + GAP) + GAP, 2 * (TILE + GAP) + GAP, 3)
    down, right = TILE + CAPTION + GAP, TILE + GAP
    assert [tuple(sheet[y + 20, x + 20]) for y, x in ((0, 0), (0, right), (down, 0))] == colours
    assert (sheet[GAP + TILE // 2 + 1 : GAP + TILE, GAP : GAP + TILE] == 255).all()  # twice as wide as high
    assert (sheet[GAP + TILE : down, GAP : GAP + TILE] < 128).any()  # the caption
    assert (sheet[down + GAP :, GAP + right :] == 255).all()  # the fourth place stays free


def test_floats_and_other_numbers_of_channels() -> None:
    images: list[NDArray[np.uint8] | NDArray[np.float32]] = [
        np.full((4, 4, 1), np.nan, np.float32),
        np.full((4, 4, 3), 1e9, np.float32),
        np.full((4, 4, 2), 77, np.uint8),
        np.full((4, 4, 4), 55, np.uint8),
    ]
    sheet = contact_sheet([Record(b"", 0, image) for image in images], None)
    down, right = TILE + CAPTION + GAP, TILE + GAP
    assert [sheet[y + 20, x + 20].tolist() for y in (0, down) for x in (0, right)] == [
        [0, 0, 0],
        [255, 255, 255],
        [77, 77, 77],
        [55, 55, 55],
    ]


def test_png_is_written(tmp_path: Path) -> None:
    entries = [Entry(name, 0) for name in write_pictures(tmp_path, 5)]
    build_lmdb(FilesSource(entries, tmp_path, ["x"]), tmp_path / "db")
    assert write_contact_sheet(tmp_path / "db", tmp_path / "new" / "sheet.png", 4) == (4, [])
    sheet = cv2.imread(str(tmp_path / "new" / "sheet.png"))
    assert sheet is not None
    assert sheet.shape[1] == 2 * (TILE + GAP) + GAP
    assert write_contact_sheet(tmp_path / "db", tmp_path / "all.png", 99).records == 5
    for count, name in ((0, "a.png"), (1001, "a.png"), (1, "a.jpg")):
        with pytest.raises(InputError):
            write_contact_sheet(tmp_path / "db", tmp_path / name, count)


def shown(monkeypatch: pytest.MonkeyPatch, db: Path, out: Path, count: int, **options: Any) -> list[int]:
    """The numbers of the records on a sheet."""
    found: list[int] = []

    def sheet(records: list[Record], names: list[str] | None) -> Image:
        found.extend(int(record.key[:8]) for record in records)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(contact_sheet_module, "contact_sheet", sheet)
    assert write_contact_sheet(db, out, count, force=True, **options) == (len(found), [])
    return found


def test_records_are_spread_or_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db, out = pixel_lmdb(tmp_path / "db", [number % 5 for number in range(50)]), tmp_path / "sheet.png"
    assert shown(monkeypatch, db, out, 5) == [0, 10, 20, 30, 40]
    drawn = shown(monkeypatch, db, out, 5, seed=1)
    assert drawn == sorted(drawn) != [0, 10, 20, 30, 40]
    assert drawn == shown(monkeypatch, db, out, 5, seed=1) != shown(monkeypatch, db, out, 5, seed=2)
    assert len(shown(monkeypatch, db, out, 99, seed=1)) == 50


def test_records_of_one_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db, out = pixel_lmdb(tmp_path / "db", [number % 5 for number in range(50)]), tmp_path / "sheet.png"
    found = shown(monkeypatch, db, out, 4, label=3)
    assert [number % 5 for number in found] == [3] * 4
    assert found == sorted(set(found)) != shown(monkeypatch, db, out, 4, label=3, seed=9)
    assert shown(monkeypatch, db, out, 25, label=3) == list(range(3, 50, 5))
    with pytest.raises(InputError, match="no record of label 7"):
        write_contact_sheet(db, out, 4, label=7, force=True)


def test_a_picture_is_replaced_only_if_that_is_wanted(tmp_path: Path) -> None:
    db, out = pixel_lmdb(tmp_path / "db", [0]), tmp_path / "mine.png"
    out.write_bytes(b"precious")
    with pytest.raises(
        InputError, match=r"mine\.png exists already: choose another name, or replace it with --f"
    ):
        write_contact_sheet(db, out, 1)
    assert out.read_bytes() == b"precious"
    write_contact_sheet(db, out, 1, force=True)
    assert cv2.imread(str(out)) is not None


def test_damaged_records_are_left_out_and_told_of(tmp_path: Path) -> None:
    db, out = pixel_lmdb(tmp_path / "db", [0, 1, 2, 1]), tmp_path / "sheet.png"
    change(db, b"00000001_p1.png", b"\xff")
    change(db, b"00000002_p2.png", raw_datum(1, 2, 2, b"xyz", label=2).SerializeToString())
    shown = write_contact_sheet(db, out, 4)
    assert shown.records == 2
    assert shown.left_out == [
        f"number 1, {db}: record 00000001_p1.png is not a Datum message",
        f"number 2, {db}: record 00000002_p2.png has 3 values for a size of 1×2×2",
    ]
    sheet = cv2.imread(str(out))
    assert sheet is not None
    assert sheet.shape[1] == 2 * (TILE + GAP) + GAP
    assert write_contact_sheet(db, out, 4, label=1, force=True) == (1, shown.left_out[:1])
    with pytest.raises(InputError, match=r"none of 2 records of .* can be shown: number 1, "):
        write_contact_sheet(db, tmp_path / "none.png", 4, label=2)
    assert not (tmp_path / "none.png").exists()


def test_what_lies_behind_a_broken_page_is_told_of(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [0] * 250)
    break_page_of(db, b"00000249_p249.png")
    shown = write_contact_sheet(db, tmp_path / "sheet.png", 5)
    assert (shown.records, len(shown.left_out)) == (4, 1)
    assert shown.left_out[0].startswith(f"number 200, {db} is damaged (page ")
