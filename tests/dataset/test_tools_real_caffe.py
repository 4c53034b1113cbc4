"""Real Caffe reads what the tools write, and they read what its tools write: one Caffe for all."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from batchbrew.dataset.inspection import lmdb_info
from batchbrew.dataset.label_ranges import LabelRanges
from batchbrew.dataset.mean_file import write_mean
from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.rewriting import merge, shuffle, split, subset
from batchbrew.dataset.selection import Choice
from batchbrew.dataset.verification import verify_lmdb
from tests.conftest import RunCaffe
from tests.dataset.lmdbs import raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture

RECORDS = 20
JPEG_TOLERANCE = 2  # as in test_real_caffe.py

READ_ALL = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe, numpy
text = '''layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "%s" backend: LMDB batch_size: 1 } }'''
found = {}
for job in sys.argv[1:]:
    path, count = job.rsplit(":", 1)
    open("net.prototxt", "w").write(text % path)
    net = caffe.Net("net.prototxt", caffe.TEST)
    labels, images = [], []
    for _ in range(int(count)):
        net.forward()
        labels.append(int(net.blobs["label"].data[0]))
        images.append(net.blobs["data"].data[0].astype(numpy.uint8))
    numpy.save(path + ".npy", numpy.array(images))
    found[os.path.basename(path)] = labels
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def caffes(caffe_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty JPEGs of 48×32, labels 0 to 4, by real convert_imageset."""
    folder = tmp_path_factory.mktemp("caffes")
    for number in range(RECORDS):
        (folder / f"{number} x.png").write_bytes(encoded(".png", picture(48, 32, number)))
    (folder / "list.txt").write_text("".join(f"{number} x.png {number % 5}\n" for number in range(RECORDS)))
    tool(
        caffe_python,
        "convert_imageset",
        "--encoded",
        "--encode_type=jpg",
        f"{folder}/",
        folder / "list.txt",
        folder / "db",
    )
    return folder / "db"


def tool(caffe_python: Path, name: str, *arguments: object) -> None:
    done = subprocess.run(
        [caffe_python.with_name(name), *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_info_and_verify_of_convert_imagesets(caffes: Path) -> None:
    info = lmdb_info(caffes)
    assert (info.entries, info.label_counts) == (RECORDS, dict.fromkeys(range(5), 4))
    assert (info.kinds, info.sizes, info.first_key) == ({"JPEG": 20}, {(32, 48): 20}, "00000000_0 x.png")
    found = verify_lmdb(caffes)
    assert (found.problems, found.warnings, found.described) == ([], [], False)


def test_real_caffe_reads_what_is_made_of_them(
    run_caffe: RunCaffe, caffes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[Callable[[], object]] = [
        lambda: shuffle(caffes, tmp_path / "shuffled", seed=1),
        lambda: split(caffes, [tmp_path / "train", tmp_path / "val"], [0.75, 0.25]),
        lambda: merge([tmp_path / "val", tmp_path / "train"], tmp_path / "merged"),
        lambda: merge([tmp_path / "val", tmp_path / "train"], tmp_path / "offset", offset_labels=True),
        lambda: subset(
            caffes, tmp_path / "subset", Choice(labels=LabelRanges("1,3-4"), relabel=True, per_class=2)
        ),
    ]
    for make in made:
        make()
    counts = {"shuffled": 20, "train": 15, "val": 5, "merged": 20, "offset": 20, "subset": 6}
    read = run_caffe(READ_ALL, *(f"{tmp_path / name}:{count}" for name, count in counts.items()))
    for name, count in counts.items():
        with LmdbReader(tmp_path / name) as reader:
            records = list(reader.records())
        assert read[name] == [record.label for record in records]
        assert len(records) == count
        images = np.load(tmp_path / f"{name}.npy", allow_pickle=False)
        ours = np.stack([record.image.transpose(2, 0, 1) for record in records]).astype(int)
        assert np.abs(images - ours).max() <= JPEG_TOLERANCE
    assert sorted(read["subset"]) == [0, 0, 1, 1, 2, 2]
    assert read["offset"] == read["val"] + [label + 5 for label in read["train"]]
    assert sorted(read["val"]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("form", ["raw, grey", "raw, colour", "png"])
def test_the_mean_is_compute_image_means(caffe_python: Path, tmp_path: Path, form: str) -> None:
    images = [picture(7, 5, number) for number in range(RECORDS)]
    if form == "raw, grey":
        datums = [raw_datum(1, 5, 7, image[:, :, 0].tobytes()) for image in images]
    elif form == "raw, colour":
        datums = [raw_datum(3, 5, 7, image.transpose(2, 0, 1).tobytes()) for image in images]
    else:
        datums = [raw_datum(3, 5, 7, encoded(".png", image)) for image in images]
        for datum in datums:
            datum.encoded = True
    db = write_lmdb(tmp_path / "db", datums)
    tool(caffe_python, "compute_image_mean", db, tmp_path / "caffes.binaryproto")
    write_mean(db, tmp_path / "ours.binaryproto")
    assert (tmp_path / "ours.binaryproto").read_bytes() == (tmp_path / "caffes.binaryproto").read_bytes()
