"""Real pycaffe classifies the same windows; its crops with context, which fail on today's numpy, are helped there."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe.detector import Detector
from batchbrew.caffe.net import Net
from batchbrew.errors import InputError
from tests.conftest import RunCaffe

DEPLOY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 3 dim: 12 dim: 12 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 0.2 } } }
"""

SETTINGS: list[dict[str, Any]] = [
    {},
    {"context_pad": 2},
    {"context_pad": 4, "mean": [104, 117, 123], "raw_scale": 255, "channel_swap": [2, 0, 1], "input_scale": 0.02},
]  # fmt: skip

ORACLE = """
import json, sys, warnings
import numpy as np
import skimage.io
import caffe
warnings.simplefilter("ignore")

class Forgiving(np.ndarray):
    # takes float indices, as numpy did when pycaffe was written
    def __getitem__(self, places):
        if isinstance(places, tuple) and any(isinstance(place, slice) for place in places):
            places = tuple(slice(*(end if end is None else int(end) for end in (place.start, place.stop)))
                           if isinstance(place, slice) and place.step is None else place for place in places)
        return np.ndarray.__getitem__(self, places)

imread = skimage.io.imread
skimage.io.imread = lambda name, as_grey: imread(name, as_gray=as_grey)
load = caffe.io.load_image
caffe.io.load_image = lambda name: type("Image", (), {
    "astype": lambda self, kind: load(name).astype(kind).view(Forgiving)})()

net, weights, settings, given, out = sys.argv[1:]
caffe.set_random_seed(1)
caffe.Net(net, caffe.TEST).save(weights)
pairs = [(name, [np.array(window) for window in windows]) for name, windows in json.loads(given)]
found = {}
for number, setting in enumerate(json.loads(settings)):
    if "mean" in setting:
        setting["mean"] = np.array(setting["mean"], float)
    detector = caffe.Detector(net, weights, **setting)
    detections = detector.detect_windows(pairs)
    found[str(number)] = np.array([detection["prediction"] for detection in detections])
    name, windows = pairs[0]
    for index, window in enumerate(windows):
        crop = detector.crop(caffe.io.load_image(name).astype(np.float32), window)
        found["%d crop %d" % (number, index)] = np.array(crop)
np.savez(out, **found)
print(json.dumps([str(detection["filename"]) for detection in detections]))
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """The prototxt of a tiny net."""
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    return tmp_path / "deploy.prototxt"


@pytest.fixture
def given(tmp_path: Path) -> list[tuple[str, list[list[int]]]]:
    """Two photographs with windows: inside, at the edges, all of it."""
    chance = np.random.default_rng(9)
    pairs = []
    for name, shape in (("a.png", (30, 40, 3)), ("b.png", (20, 15, 3))):
        cv2.imwrite(str(tmp_path / name), chance.integers(0, 256, shape).astype(np.uint8))
        height, width = shape[:2]
        windows = [
            [3, 4, 12, 11],
            [0, 0, height, width],
            [0, 5, 7, 9],
            [height - 9, 2, height, 8],
            [1, 1, 9, width],
        ]
        pairs.append((str(tmp_path / name), windows))
    return pairs


def test_detections_are_those_of_pycaffe(run_caffe: RunCaffe, net: Path, given: Any, tmp_path: Path) -> None:
    weights = tmp_path / "tiny.caffemodel"
    names = run_caffe(ORACLE, net, weights, json.dumps(SETTINGS), json.dumps(given), tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        for number, setting in enumerate(SETTINGS):
            detector = Detector(net, weights, **settings_of(setting))
            detections = detector.detect_windows(given)
            assert [detection["filename"] for detection in detections] == names
            assert detections[1]["window"] == given[0][1][1]
            for index, window in enumerate(given[0][1]):
                expected = found[f"{number} crop {index}"]
                crop = detector.crop(image(given[0][0]), window)
                np.testing.assert_allclose(
                    crop, expected, rtol=1e-5, atol=1e-6, err_msg=f"{setting} {window}"
                )
            ours = np.array([detection["prediction"] for detection in detections])
            np.testing.assert_allclose(ours, found[str(number)], rtol=1e-4, atol=1e-5)


def settings_of(setting: dict[str, Any]) -> dict[str, Any]:
    """With the mean as an array."""
    return setting | ({"mean": np.array(setting["mean"], float)} if "mean" in setting else {})


def image(name: str) -> NDArray[np.float32]:
    """As load_image reads it."""
    picture = cv2.imread(name)
    assert picture is not None
    return picture[:, :, ::-1].astype(np.float32) / np.float32(255)


@pytest.fixture
def detector(net: Path, tmp_path: Path) -> Detector:
    """A Detector with weights of the fillers."""
    Net(net, 1).save(tmp_path / "own.caffemodel")
    return Detector(net, tmp_path / "own.caffemodel")


def test_context_beyond_the_image_is_the_mean(net: Path, detector: Detector, tmp_path: Path) -> None:
    mean = np.array([10.0, 20, 30])  # in the net's order: BGR
    padded = Detector(
        net, tmp_path / "own.caffemodel", mean=mean, channel_swap=(2, 1, 0), raw_scale=10, context_pad=3
    )
    crop = padded.crop(np.zeros((20, 20, 3), np.float32), [0, 0, 6, 6])
    assert crop.shape == (12, 12, 3)
    np.testing.assert_allclose(crop[0, 0], [3, 2, 1])
    np.testing.assert_allclose(crop[6, 6], 0)


def test_no_windows_are_no_detections(detector: Detector) -> None:
    assert detector.detect_windows([]) == []
    assert detector.detect_windows([("no such file", [])]) == []


def test_what_cannot_be_detected(detector: Detector) -> None:
    with pytest.raises(
        InputError, match=r"selective search in Matlab, which is not supported: .* detect_windows"
    ):
        detector.detect_selective_search(["a.png"])
    with pytest.raises(InputError, match="context_pad 6 leaves nothing of an input of 12×12"):
        detector.configure_crop(6)
    picture = np.zeros((10, 10, 3), np.float32)
    for window in ([5, 5, 5, 9], [10, 0, 12, 3], [-1, 0, 3, 3], [7, 7, 3, 3]):
        with pytest.raises(InputError, match="has no pixel in an image of 10×10"):
            detector.crop(picture, window)
    with pytest.raises(InputError, match="is no window"):
        detector.crop(picture, [1, 2, 3])
    with pytest.raises(InputError, match=r"nowhere.png cannot be read"):
        detector.detect_windows([("nowhere.png", [[0, 0, 2, 2]])])
