import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from batchbrew.dataset import record_writer
from batchbrew.dataset.images import decode, encode_jpeg, resize_short_side
from batchbrew.dataset.reader import LmdbReader, parse_datum
from batchbrew.dataset.record_writer import record_key
from batchbrew.dataset.sources import Entry, shuffled
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.dataset.writer import build_lmdb, default_max_bad
from batchbrew.errors import InputError
from tests.dataset.pictures import by_pillow, encoded, picture, write_pictures


def content(path: Path) -> list[tuple[bytes, bytes]]:
    with LmdbReader(path) as reader:
        return list(reader.items())


def test_records_hold_what_was_listed(tmp_path: Path) -> None:
    entries = [Entry(name, 3 * number) for number, name in enumerate(write_pictures(tmp_path, 5))]
    report = build_lmdb(entries, tmp_path, tmp_path / "out", short_side=32, quality=80, seed=None)
    records = content(tmp_path / "out")
    assert [key for key, _ in records] == [b"%08d_%d.jpg" % (number, number) for number in range(5)]
    for entry, (_, value) in zip(entries, records, strict=True):
        datum = parse_datum(value)
        assert (datum.channels, datum.height, datum.width) == (3, 32, 48)
        assert (datum.label, datum.encoded, len(datum.float_data)) == (entry.label, True, 0)
        small = resize_short_side(decode((tmp_path / entry.path).read_bytes()), 32)
        assert datum.data == encode_jpeg(small, 80)
    assert report.description.total_bytes == sum(len(value) for _, value in records)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "data.mdb",
        "dataset.json",
        "lock.mdb",
    ]


def test_description_counts_everything(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 4)
    entries = [
        Entry(names[0], 0),
        Entry(names[1], 2),
        Entry("absent.jpg", 1),
        Entry(names[2], 2),
        Entry(names[3], 0),
    ]
    classes = ["ant", "bée", "cat", "dog"]
    build_lmdb(entries, tmp_path, tmp_path / "out", short_side=32, seed=7, class_names=classes)
    fields = json.loads((tmp_path / "out" / "dataset.json").read_text())
    del fields["total_bytes"], fields["sha256"], fields["version"]
    assert fields == {
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
    }
    order = [entry.path for entry in shuffled(entries, 7) if entry.path != "absent.jpg"]
    assert [key.decode()[9:] for key, _ in content(tmp_path / "out")] == order


def test_workers_do_not_change_the_result(tmp_path: Path) -> None:
    entries = [Entry(name, number % 3) for number, name in enumerate(write_pictures(tmp_path, 60))]
    for workers in (1, 2, 7):
        build_lmdb(entries, tmp_path, tmp_path / str(workers), short_side=24, workers=workers)
    one = content(tmp_path / "1")
    assert content(tmp_path / "2") == one
    assert content(tmp_path / "7") == one
    assert len({(tmp_path / str(workers) / "dataset.json").read_text() for workers in (1, 2, 7)}) == 1


def test_odd_images_are_stored_and_bad_ones_reported(tmp_path: Path) -> None:
    good = {
        "a b/blank in name.jpg": encoded(".jpg"),
        "ünï/日本.png": encoded(".png"),
        "cmyk.jpg": by_pillow("JPEG", "CMYK"),
        "png.JPEG": encoded(".png"),
        "grey.pgm": encoded(".pgm", picture()[:, :, 0]),
        "alpha.png": encoded(".png", np.dstack([picture(), np.zeros((64, 96), np.uint8)])),
        "sixteen.png": encoded(".png", picture().astype(np.uint16) * 257),  # type: ignore[arg-type]
        "turned.jpg": by_pillow("JPEG", orientation=6),
    }
    bad = {
        "text.jpg": b"not a photograph",
        "truncated.jpg": encoded(".jpg")[:-700],
        "empty.png": b"",
        "strip.png": encoded(".png", np.zeros((1, 3000, 3), np.uint8)),
    }
    for name, data in (good | bad).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    entries = [Entry(name, 0) for name in [*good, *bad, "absent.jpg"]]
    report = build_lmdb(entries, tmp_path, tmp_path / "out", short_side=64, seed=None, max_bad=5)
    assert {unreadable.path for unreadable in report.description.unreadable} == {*bad, "absent.jpg"}
    with LmdbReader(tmp_path / "out") as reader:
        records = {record.key.decode()[9:]: record.image for record in reader.records()}
    assert list(records) == list(good)
    assert records["turned.jpg"].shape == (96, 64, 3)
    colour = picture().astype(int)
    for name in ("a b/blank in name.jpg", "ünï/日本.png", "cmyk.jpg", "png.JPEG", "alpha.png", "sixteen.png"):
        assert np.abs(records[name].astype(int) - colour).mean() < 5, name
    assert np.ptp(records["grey.pgm"], axis=2).max() <= 2


@pytest.mark.parametrize(("listed", "allowed"), [(1, 1), (100, 1), (101, 2), (1_281_167, 12_812)])
def test_default_of_images_that_may_be_bad(listed: int, allowed: int) -> None:
    assert default_max_bad(listed) == allowed


def test_too_many_bad_images_end_the_build_and_leave_nothing(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 3)
    entries = [Entry(name, 0) for name in [names[0], "x.jpg", "y.jpg", *names[1:]]]
    with pytest.raises(InputError) as caught:
        build_lmdb(entries, tmp_path, tmp_path / "made" / "out", seed=None)
    assert "2 of the first 3 cannot be used, where 1 of 5 may be: x.jpg cannot be read" in str(caught.value)
    assert "y.jpg cannot be read" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "made").iterdir()) == []
    with pytest.raises(InputError, match=r"none of the 1 images can be used: x\.jpg"):
        build_lmdb([Entry("x.jpg", 0)], tmp_path, tmp_path / "out", max_bad=9)
    build_lmdb(entries, tmp_path, tmp_path / "out", max_bad=2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"short_side": 0}, "short side 0"),
        ({"quality": 101}, "quality 101"),
        ({"workers": 0}, "0 workers"),
        ({"max_bad": -1}, "-1 unreadable"),
        ({"class_names": ["one"]}, "label 1, but there are 1 class names"),
        ({"seed": -3}, "seed -3"),
    ],
)
def test_options_out_of_range(tmp_path: Path, options: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        build_lmdb([Entry("a.jpg", 1)], tmp_path, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_labels_and_numbers_of_images_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 images"):
        build_lmdb([], tmp_path, tmp_path / "out")
    for label in (-1, 2**31):
        with pytest.raises(InputError, match=f"label {label}"):
            build_lmdb([Entry("a.jpg", label)], tmp_path, tmp_path / "out")
    name = write_pictures(tmp_path, 1)[0]
    build_lmdb([Entry(name, 2**31 - 1)], tmp_path, tmp_path / "out")
    assert parse_datum(content(tmp_path / "out")[0][1]).label == 2**31 - 1


def test_existing_out_is_refused(tmp_path: Path) -> None:
    entries = [Entry(write_pictures(tmp_path, 1)[0], 0)]
    build_lmdb(entries, tmp_path, tmp_path / "out", short_side=8)
    with pytest.raises(InputError, match="exists already"):
        build_lmdb(entries, tmp_path, tmp_path / "out", short_side=16)


def test_long_names_are_cut_at_a_character() -> None:
    assert record_key(3, "a/ü.jpg") == "00000003_a/ü.jpg".encode()
    assert record_key(0, "x" * 502) == b"00000000_" + b"x" * 502
    assert record_key(0, "x" * 503) == b"00000000_" + b"x" * 502
    assert record_key(12, "x" + "ü" * 300) == b"00000012_x" + "ü".encode() * 250
    assert record_key(0, "\udce4" * 600) == b"00000000_" + b"\xe4" * 502  # bytes that are no UTF-8


def test_map_grows_and_file_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_writer, "FIRST_MAP_BYTES", 2**15)
    monkeypatch.setattr(record_writer, "BATCH_BYTES", 2**16)
    entries = [Entry(name, 0) for name in write_pictures(tmp_path, 40)] * 3
    build_lmdb(entries, tmp_path, tmp_path / "out", short_side=96)
    assert len(content(tmp_path / "out")) == 120
    file_bytes = (tmp_path / "out" / "data.mdb").stat().st_size
    assert file_bytes > 2**17
    assert file_bytes < 1.5 * sum(len(value) for _, value in content(tmp_path / "out"))
    assert verify_lmdb(tmp_path / "out").problem_count == 0


def test_opencv_keeps_its_number_of_threads(tmp_path: Path) -> None:
    before = cv2.getNumThreads()
    build_lmdb([Entry(write_pictures(tmp_path, 1)[0], 0)], tmp_path, tmp_path / "out")
    assert cv2.getNumThreads() == before


def test_progress_is_reported_for_every_image(tmp_path: Path) -> None:
    calls: list[tuple[int, int, int]] = []
    entries = [Entry(name, 0) for name in [*write_pictures(tmp_path, 2), "absent.jpg"]]
    build_lmdb(entries, tmp_path, tmp_path / "out", seed=None, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3, 0), (2, 3, 0), (3, 3, 1)]


BUILDER = """
import sys
from pathlib import Path
from batchbrew.dataset.sources import read_list
from batchbrew.dataset.writer import build_lmdb
from batchbrew.errors import InputError
root = Path(sys.argv[1])
def progress(done, total, bad):
    print(done, flush=True)
    if done == 1 and sys.argv[2:]:
        import time; time.sleep(60)
try:
    build_lmdb(read_list(root / "list.txt", root), root, root / "lmdb" / "out", workers=2, progress=progress)
except InputError as error:
    sys.exit(str(error))
"""


def prepare(tmp_path: Path, count: int, side: int) -> None:
    names = write_pictures(tmp_path, count, side, side)
    (tmp_path / "list.txt").write_text("".join(f"{name} 0\n" for name in names * 20))


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "lmdb").iterdir())


def test_disk_full_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    prepare(tmp_path, 10, 128)
    limit = 2**20  # a file may not grow beyond this: as near to a full disk as one comes without root
    done = subprocess.run(
        [sys.executable, "-c", BUILDER, tmp_path], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path / 'lmdb' / 'out'} cannot be written: " in done.stderr
    assert "MiB are free there" in done.stderr
    assert left(tmp_path) == []


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    prepare(tmp_path, 10, 64)
    builder = subprocess.Popen(
        [sys.executable, "-c", BUILDER, tmp_path, "wait"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert builder.stdout is not None
    assert builder.stdout.readline() == b"1\n"
    assert len(left(tmp_path)) == 2
    builder.send_signal(signal.SIGINT)
    builder.communicate(timeout=30)
    assert builder.returncode != 0
    assert left(tmp_path) == []


def test_killed_builds_are_cleaned_up_by_the_next(tmp_path: Path) -> None:
    prepare(tmp_path, 10, 64)
    for last_seen in (1, 60, 199):
        with subprocess.Popen(
            [sys.executable, "-c", BUILDER, tmp_path], stdout=subprocess.PIPE, text=True
        ) as builder:
            assert builder.stdout is not None
            while int(builder.stdout.readline()) < last_seen:
                pass
            builder.kill()
        if (tmp_path / "lmdb" / "out").exists():  # it was too quick for us: then it must be whole
            break
        assert left(tmp_path) != []
    else:
        subprocess.run([sys.executable, "-c", BUILDER, tmp_path], check=True, stdout=subprocess.DEVNULL)
        assert left(tmp_path) == ["out"]
    found = verify_lmdb(tmp_path / "lmdb" / "out")
    assert (found.records, found.described, found.problems) == (200, True, [])
