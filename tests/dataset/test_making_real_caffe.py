"""Real Caffe's Data layer reads what `make` makes of odd pictures, in every encoding."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from batchbrew.dataset.building.record_writer import RecordWriter
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import Image, decode_stored
from batchbrew.dataset.making import make
from batchbrew.proto import caffe_pb2 as pb
from tests.conftest import RunCaffe
from tests.dataset.pictures import by_pillow, encoded, picture

# libjpeg-turbo 2.0, in real Caffe, and the one in OpenCV's wheel may round differently.
JPEG_TOLERANCE = 2

READ = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe, numpy
labels = {}
for folder in sys.argv[2:]:
    net = caffe.Net(os.path.join(folder, "net.prototxt"), caffe.TEST)
    images = []
    for _ in range(int(sys.argv[1])):
        net.forward()
        labels.setdefault(folder, []).append(int(net.blobs["label"].data[0]))
        images.append(net.blobs["data"].data[0].copy())
    numpy.savez(os.path.join(folder, "images.npz"), *images)
print(json.dumps(labels))
"""

NET = """
layer {{
  name: "data" type: "Data" top: "data" top: "label"
  data_param {{ source: "{source}" backend: LMDB batch_size: 1 }}
}}
"""


def odd_pictures() -> list[bytes]:
    """One of each kind that has given trouble."""
    colours = picture(80, 60)
    translucent = np.dstack([colours, np.full((60, 80), 100, np.uint8)])
    return [
        encoded(".jpg", colours),
        encoded(".jpg", picture(64, 48)),  # which `short` passes through
        by_pillow("JPEG", "CMYK", image=colours),
        by_pillow("JPEG", orientation=6, image=colours),
        by_pillow("GIF", image=colours),
        by_pillow("WEBP", image=colours),
        encoded(".png", translucent),
        encoded(".png", colours[:, :, 0]),
        encoded(".png", colours.astype(np.uint16) * 257),  # type: ignore[arg-type]
        encoded(".tif", colours),
        encoded(".jpg", picture(800, 600), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".jpg", picture(30, 20)),  # smaller
    ]


VARIANTS: dict[str, dict[str, Any]] = {
    "short": {},
    "exif": {"exif": True},
    "gray": {"gray": True},
    "png": {"encoding": "png", "mode": "squash"},
    "raw": {"encoding": "raw", "mode": "crop"},
    "raw-gray": {"encoding": "raw", "mode": "pad", "gray": True},
    "none": {"mode": "none"},
}

PASSED = {"short": (1, 11), "exif": (1, 11), "none": (0, 1, 10, 11)}


def stored_pixels(datum: bytes) -> Image:
    """H×W×C, decoded by OpenCV from the record."""
    found = pb.Datum()
    found.ParseFromString(datum)
    if found.encoded:
        return decode_stored(found.data)
    return (
        np.frombuffer(found.data, np.uint8)
        .reshape(found.channels, found.height, found.width)
        .transpose(1, 2, 0)
    )


def test_data_layer_reads_them(run_caffe: RunCaffe, tmp_path: Path) -> None:
    pictures = odd_pictures()
    expected: dict[str, list[Image]] = {}
    for name, options in VARIANTS.items():
        folder = tmp_path / name
        (folder / "db").mkdir(parents=True)
        writer = RecordWriter(folder / "db")
        expected[name] = []
        for number, data in enumerate(pictures):
            made = make(data, f"{number}.JPEG", 3 * number, ImageOptions(**{"side": 48, **options}))
            writer.add(f"{number}.JPEG", 3 * number, made.datum)
            expected[name].append(stored_pixels(made.datum))
            assert made.passed_through == (number in PASSED.get(name, ()))
        writer.finish()
        writer.close()
        (folder / "net.prototxt").write_text(NET.format(source=folder / "db"))
    labels = run_caffe(READ, len(pictures), *(tmp_path / name for name in VARIANTS))
    for name, images in expected.items():
        assert labels[str(tmp_path / name)] == [3 * number for number in range(len(pictures))]
        with np.load(tmp_path / name / "images.npz", allow_pickle=False) as read:
            values = [read[key] for key in read.files]
        tolerance = 0 if name in ("png", "raw", "raw-gray") else JPEG_TOLERANCE
        for image, value in zip(images, values, strict=True):
            assert value.shape == image.transpose(2, 0, 1).shape
            assert np.abs(value - image.transpose(2, 0, 1)).max() <= tolerance


def test_pixels_of_odd_ones_are_the_pictures() -> None:
    """Whatever the file's kind, its colours come out; real Caffe sees the same by the test above."""
    plain = stored_pixels(make(encoded(".png", picture(80, 60)), "a", 0, ImageOptions(side=48)).datum)
    for number in (0, 2, 3, 4, 5, 8, 9):
        found = stored_pixels(make(odd_pictures()[number], "a", 0, ImageOptions(side=48)).datum)
        assert np.abs(found.astype(int) - plain).mean() < 8, number
    white = Pillow.new("RGBA", (80, 60), (0, 0, 0, 0))
    assert (
        stored_pixels(make(encoded(".png", np.asarray(white)), "a", 0, ImageOptions()).datum) == 255
    ).all()
