"""What real Caffe reads of our LMDBs, and what we read of real convert_imageset's."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.sources import Entry, FilesSource
from tests.conftest import RunCaffe
from tests.dataset.pictures import picture, write_pictures

# libjpeg-turbo 2.0 (Debian 11's, in real Caffe) and 3.1 (in OpenCV 4.14) gave the same pixels when this was
# written; another build's inverse DCT or chroma interpolation may differ by rounding.
JPEG_TOLERANCE = 2

READ_DATA_LAYER = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe, numpy
net = caffe.Net(sys.argv[1], caffe.TEST)
labels, images = [], []
for _ in range(int(sys.argv[2])):
    net.forward()
    labels += net.blobs["label"].data.astype(int).tolist()
    images.append(net.blobs["data"].data.copy())
numpy.save(sys.argv[3], numpy.concatenate(images))
print(json.dumps(labels))
"""

DATA_LAYER = """
layer {{
  name: "data" type: "Data" top: "data" top: "label"
  data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }}
  transform_param {{ {transform} }}
}}
"""


def through_caffe(
    run_caffe: RunCaffe, folder: Path, source: Path, transform: str
) -> tuple[list[int], np.ndarray]:
    """Labels and N×C×H×W values that real Caffe's Data layer gives in two passes of three images."""
    net = folder / "net.prototxt"
    net.write_text(DATA_LAYER.format(source=source, batch=3, transform=transform))
    labels = run_caffe(READ_DATA_LAYER, net, 2, folder / "images.npy")
    return labels, np.load(folder / "images.npy", allow_pickle=False)


def test_data_layer_reads_ours(run_caffe: RunCaffe, tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 4, width=100, height=60)
    (tmp_path / "tall.png").write_bytes((tmp_path / names[3]).read_bytes())
    names += ["tall.png"]
    entries = [Entry(name, 1000 + 7 * number) for number, name in enumerate(names)]
    options = BuildOptions(ImageOptions(side=48), seed=3)
    build_lmdb(FilesSource(entries, tmp_path), tmp_path / "db", options)
    with LmdbReader(tmp_path / "db") as reader:
        records = list(reader.records())
    assert records[0].image.shape == (48, 80, 3)
    labels, values = through_caffe(run_caffe, tmp_path, tmp_path / "db", "crop_size: 31")
    # Six images out of five: Caffe begins anew.
    assert labels == [record.label for record in [*records, records[0]]]
    top, left = (48 - 31) // 2, (80 - 31) // 2
    for record, value in zip(records, values, strict=False):
        expected = record.image[top : top + 31, left : left + 31].transpose(2, 0, 1)
        assert np.abs(value - expected).max() <= JPEG_TOLERANCE
        assert (
            np.abs(value[:, :, 1:] - expected[:, :, :-1]).max() > JPEG_TOLERANCE
        )  # a pixel beside it would show


@pytest.mark.parametrize("encoding", ["jpg", "png", "raw", "as it is"])
def test_reader_reads_convert_imagesets(caffe_python: Path, tmp_path: Path, encoding: str) -> None:
    convert_imageset = caffe_python.with_name("convert_imageset")
    names = write_pictures(tmp_path, 3)
    (tmp_path / "list.txt").write_text("".join(f"{name} {5 - number}\n" for number, name in enumerate(names)))
    options = {
        "jpg": ["--encoded", "--encode_type=jpg", "--resize_height=32", "--resize_width=48"],
        "png": ["--encoded", "--encode_type=png", "--resize_height=32", "--resize_width=48"],
        "raw": ["--resize_height=32", "--resize_width=48"],
        "as it is": ["--encoded", "--encode_type=jpg"],
    }[encoding]
    command: list[str | Path] = [
        convert_imageset,
        *options,
        f"{tmp_path}/",
        tmp_path / "list.txt",
        tmp_path / "db",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with LmdbReader(tmp_path / "db") as reader:
        records = list(reader.records())
    assert [(record.key, record.label) for record in records] == [
        (b"%08d_%d.jpg" % (number, number), 5 - number) for number in range(3)
    ]
    for number, record in enumerate(records):
        size = (96, 64) if encoding == "as it is" else (48, 32)
        expected = picture(*size, number).astype(int)
        assert record.image.shape == expected.shape
        assert np.abs(record.image - expected).mean() < 6
