import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from batchbrew.dataset.building import record_writer
from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.space import stored_bytes
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.description import Unreadable, read_description
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import decode_stored
from batchbrew.dataset.making import make
from batchbrew.dataset.reader import LmdbReader, parse_datum
from batchbrew.dataset.sources import Entry, FilesSource, shuffled
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.errors import InputError
from tests.dataset.building.builds import SMALL, content, everything, names_in, pictures_source
from tests.dataset.pictures import by_pillow, encoded, picture, write_pictures


def test_records_hold_what_was_listed(tmp_path: Path) -> None:
    entries = [Entry(name, 3 * number) for number, name in enumerate(write_pictures(tmp_path, 5))]
    images = ImageOptions(side=32, quality=80)
    report = build_lmdb(FilesSource(entries, tmp_path), tmp_path / "out", BuildOptions(images, seed=None))
    records = content(tmp_path / "out")
    assert [key for key, _ in records] == [b"%08d_%d.jpg" % (number, number) for number in range(5)]
    for entry, (_, value) in zip(entries, records, strict=True):
        datum = parse_datum(value)
        assert (datum.label, datum.encoded, len(datum.float_data)) == (entry.label, True, 0)
        assert decode_stored(datum.data).shape == (32, 48, 3)
        assert value == make((tmp_path / entry.path).read_bytes(), entry.path, entry.label, images).datum
    assert report.description.total_bytes == sum(len(value) for _, value in records)
    assert report.description == read_description(tmp_path / "out")
    assert report.made == 5
    assert names_in(tmp_path / "out") == ["data.mdb", "dataset.json", "lock.mdb"]
    assert not (tmp_path / "out.partial").exists()


def test_description_counts_everything(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 4)
    listed = [(names[0], 0), (names[1], 2), ("absent.jpg", 1), (names[2], 2), (names[3], 0)]
    classes = ["ant", "bée", "cat", "dog"]
    refused = [Unreadable("../x.jpg", -1, "leads out of the archive")]
    source = FilesSource([Entry(*each) for each in listed], tmp_path, classes, "five files", (), refused)
    options = BuildOptions(ImageOptions(side=32), seed=7)
    report = build_lmdb(source, tmp_path / "out", options)
    fields = json.loads((tmp_path / "out" / "dataset.json").read_text())
    changing = {"total_bytes", "sha256", "version", "libraries", "mean", "std", "pixel_sums"}
    assert {name: value for name, value in fields.items() if name not in changing} == {
        "images": 4,
        "classes": 4,
        "label_counts": {"0": 2, "1": 0, "2": 2, "3": 0},
        "class_names": classes,
        "short_side": 32,
        "quality": 95,
        "seed": 7,
        "unreadable": [
            {"path": "absent.jpg", "label": 1, "reason": "cannot be read: No such file or directory"}
        ],
        "refused": [{"path": "../x.jpg", "label": -1, "reason": "leads out of the archive"}],
        "source": {"name": "five files", "digest": source.digest(), "images": 5},
        "options": {
            "mode": "short",
            "side": 32,
            "enlarge": False,
            "gray": False,
            "exif": False,
            "encoding": "jpeg",
            "quality": 95,
            "recompress": False,
        },
        "shard": None,
        "source_short_sides": {"64-127": 4},
        "source_sizes": {"96x64": 4},
        "stored_sizes": {"48x32": 4},
        "kinds": {"JPEG": 4},
        "passed_through": 0,
        "odd": {},
        "made_from": None,
    }
    assert report.description.listed == 6
    order = [path for path, _ in shuffled(listed, 7) if path != "absent.jpg"]
    assert [key.decode()[9:] for key, _ in content(tmp_path / "out")] == order


def test_mean_and_deviation_are_those_of_the_pixels(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 7)
    images = ImageOptions(side=24, encoding="png")
    description = build_lmdb(source, tmp_path / "out", BuildOptions(images)).description
    with LmdbReader(tmp_path / "out") as reader:
        pixels = np.concatenate([record.image.reshape(-1, 3) for record in reader.records()]).astype(float)
    assert description.mean == pytest.approx(pixels.mean(axis=0), abs=1e-3)
    assert description.std == pytest.approx(pixels.std(axis=0), abs=1e-3)


def test_workers_do_not_change_the_result(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 60, bad=2)
    for workers in (1, 2, 7):
        build_lmdb(source, tmp_path / str(workers), replace(SMALL, workers=workers))
    assert everything(tmp_path / "2") == everything(tmp_path / "1")
    assert everything(tmp_path / "7") == everything(tmp_path / "1")


def test_odd_images_are_stored_and_bad_ones_named(tmp_path: Path) -> None:
    good = {
        "a b/blank in name.jpg": encoded(".jpg"),
        "ünï/日本.png": encoded(".png"),
        "cmyk.jpg": by_pillow("JPEG", "CMYK"),
        "png.JPEG": encoded(".png"),
        "sixteen.png": encoded(".png", picture().astype(np.uint16) * 257),  # type: ignore[arg-type]
    }
    bad = {
        "text.jpg": b"not a photograph",
        "truncated.jpg": encoded(".jpg")[:-700],
        "empty.png": b"",
    }
    for name, data in (good | bad).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    source = FilesSource([Entry(name, 0) for name in [*good, *bad, "absent.jpg"]], tmp_path)
    report = build_lmdb(source, tmp_path / "out", BuildOptions(ImageOptions(side=64), seed=None))
    assert {unreadable.path for unreadable in report.description.unreadable} == {*bad, "absent.jpg"}
    with LmdbReader(tmp_path / "out") as reader:
        records = {record.key.decode()[9:]: record.image for record in reader.records()}
    assert list(records) == list(good)
    for name, image in records.items():
        assert np.abs(image.astype(int) - picture().astype(int)).mean() < 5, name
    odd = report.description.odd
    assert odd["CMYK"] == {"count": 1, "images": ["cmyk.jpg"]}
    assert odd["16 bits"] == {"count": 1, "images": ["sixteen.png"]}
    assert "png.JPEG" in [path for kind in odd.values() for path in kind["images"]]


def test_bad_images_end_a_build_only_where_that_was_asked_for(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 3)
    source = FilesSource([Entry(name, 0) for name in [names[0], "x.jpg", "y.jpg", *names[1:]]], tmp_path)
    out = tmp_path / "made" / "out"
    strict = replace(SMALL, seed=None, max_bad=1, check_space=False)
    with pytest.raises(InputError) as caught:
        build_lmdb(source, out, strict)
    assert "2 of the first 3 images cannot be used, where 1 may be left out: x.jpg cannot be read" in str(
        caught.value
    )
    assert "y.jpg cannot be read" in str(caught.value)
    assert not out.exists()
    # The same, gone on with, may be more generous.
    build_lmdb(source, out, replace(strict, max_bad=2, resume=True))
    build_lmdb(source, tmp_path / "out", replace(SMALL, seed=None))
    assert everything(out) == everything(tmp_path / "out")
    with pytest.raises(InputError, match=r"none of the 1 images can be used: x\.jpg"):
        build_lmdb(FilesSource([Entry("x.jpg", 0)], tmp_path), tmp_path / "none", SMALL)
    assert list(tmp_path.glob("none*")) == []


def test_what_is_refused_counts_as_bad(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 2)
    source.refused = [Unreadable("../x.jpg", -1, "leads out of the archive")]
    with pytest.raises(InputError, match=r"1 file is refused, where 0 may be: \.\./x.jpg leads out of"):
        build_lmdb(source, tmp_path / "out", replace(SMALL, max_bad=0))
    assert build_lmdb(source, tmp_path / "out", replace(SMALL, max_bad=1)).description.listed == 3


def test_what_is_refused_and_what_is_quarantined_count_together(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 9, bad=1)
    source.refused = [Unreadable(f"{number}.jpg", -1, "is in no class") for number in range(2)]
    for shards in (1, 3):
        options, out = replace(SMALL, shards=shards), tmp_path / f"{shards}"
        with pytest.raises(InputError, match=r"1 of the first \d images cannot be used besides 2 refused, "):
            build_lmdb(source, out, replace(options, max_bad=2))
        assert len(build_lmdb(source, out, replace(options, max_bad=3, resume=True)).descriptions) == shards


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"workers": 0}, "0 workers"),
        ({"max_bad": -1}, "-1 unreadable"),
        ({"seed": -3}, "seed -3"),
        ({"shards": 0}, "0 shards"),
        ({"shards": 2, "shard": 2}, "shard 2 is none of 2"),
    ],
)
def test_options_out_of_range(changes: dict[str, int], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        BuildOptions(**changes)  # type: ignore[arg-type]


def test_labels_and_numbers_of_images_are_checked(tmp_path: Path) -> None:
    def build(*entries: Entry, names: list[str] | None = None, shards: int = 1) -> None:
        source = FilesSource(entries, tmp_path, names)
        build_lmdb(source, tmp_path / "out", BuildOptions(shards=shards))

    with pytest.raises(InputError, match="0 images"):
        build()
    for label in (-1, 2**31):
        with pytest.raises(InputError, match=f"label {label}"):
            build(Entry("a.jpg", label))
    with pytest.raises(InputError, match="label 1, but there are 1 class names"):
        build(Entry("a.jpg", 1), names=["one"])
    with pytest.raises(InputError, match="2 shards cannot be made of 1 images"):
        build(Entry("a.jpg", 1), shards=2)
    assert list(tmp_path.iterdir()) == []
    build(Entry(write_pictures(tmp_path, 1)[0], 2**31 - 1))
    assert parse_datum(content(tmp_path / "out")[0][1]).label == 2**31 - 1


def test_map_grows_and_file_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_writer, "FIRST_MAP_BYTES", 2**15)
    monkeypatch.setattr(record_writer, "BATCH_BYTES", 2**16)
    entries = [Entry(name, 0) for name in write_pictures(tmp_path, 40)] * 3
    build_lmdb(FilesSource(entries, tmp_path), tmp_path / "out", BuildOptions(ImageOptions(side=64)))
    assert len(content(tmp_path / "out")) == 120
    file_bytes = (tmp_path / "out" / "data.mdb").stat().st_size
    assert file_bytes > 2**17
    # What the disk's room is estimated by.
    estimated = sum(stored_bytes(len(value)) for _, value in content(tmp_path / "out"))
    assert 0.9 * estimated < file_bytes < 1.1 * estimated
    assert verify_lmdb(tmp_path / "out").problem_count == 0


def test_opencv_keeps_its_number_of_threads(tmp_path: Path) -> None:
    before = cv2.getNumThreads()
    build_lmdb(pictures_source(tmp_path, 1), tmp_path / "out", SMALL)
    assert cv2.getNumThreads() == before


def test_progress_is_reported_for_every_image(tmp_path: Path) -> None:
    calls: list[tuple[int, int, int, int | None]] = []

    def meter(done: int, total: int, bad: int, written_bytes: int | None = None, /) -> None:
        calls.append((done, total, bad, written_bytes))

    build_lmdb(pictures_source(tmp_path, 3, bad=1), tmp_path / "out", replace(SMALL, seed=None), meter)
    first, second = (len(value) for _, value in content(tmp_path / "out"))
    assert calls == [(0, 3, 0, 0), (1, 3, 0, first), (2, 3, 0, first + second), (3, 3, 1, first + second)]
