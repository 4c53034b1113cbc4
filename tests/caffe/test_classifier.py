"""Real pycaffe classifies the same images with the same weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe.classifier import Classifier
from batchbrew.errors import InputError
from tests.conftest import RunCaffe

DEPLOY = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 7 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

SETTINGS: list[dict[str, Any]] = [
    {},
    {"image_dims": [9, 10], "raw_scale": 255, "channel_swap": [2, 1, 0], "mean": [104, 117, 123]},
    {"image_dims": [12, 8], "input_scale": 0.5, "mean": [0.1, 0.2, 0.3]},
]

ORACLE = """
import json, sys, warnings
import numpy as np
import caffe
warnings.simplefilter("ignore")
net, weights, images, settings, out = sys.argv[1:]
caffe.set_random_seed(1)
caffe.Net(net, caffe.TEST).save(weights)
given = np.load(images)
found = {}
for number, setting in enumerate(json.loads(settings)):
    if "mean" in setting:
        setting["mean"] = np.array(setting["mean"])
    classifier = caffe.Classifier(net, weights, **setting)
    for oversample in (0, 1):
        pictures = [given[name] for name in sorted(given.files)]
        found["%d %d" % (number, oversample)] = classifier.predict(pictures, bool(oversample))
np.savez(out, **found)
print(json.dumps(len(found)))
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """The prototxt of a tiny net."""
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    return tmp_path / "deploy.prototxt"


def pictures() -> dict[str, NDArray[np.float32]]:
    """Images of several sizes, by names that sort as they are listed."""
    chance = np.random.default_rng(8)
    return {f"{n}": chance.random((*chance.integers(5, 20, 2), 3), np.float32) for n in range(5)}


def test_predictions_are_those_of_pycaffe(run_caffe: RunCaffe, net: Path, tmp_path: Path) -> None:
    weights = tmp_path / "tiny.caffemodel"
    np.savez(tmp_path / "images.npz", **pictures())  # type: ignore[arg-type]
    run_caffe(ORACLE, net, weights, tmp_path / "images.npz", json.dumps(SETTINGS), tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        for number, setting in enumerate(SETTINGS):
            given = setting | ({"mean": np.array(setting["mean"])} if "mean" in setting else {})
            classifier = Classifier(net, weights, **given)
            for oversample in (False, True):
                ours = classifier.predict(list(pictures().values()), oversample)
                expected = found[f"{number} {oversample:d}"]
                assert ours.shape == expected.shape == (5, 3)
                # sums of some hundred, whose error the softmax takes to the power of e
                np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-7)


@pytest.fixture
def classifier(net: Path, tmp_path: Path) -> Classifier:
    """A Classifier of the tiny net with weights of its own fillers."""
    from batchbrew.caffe.net import Net

    Net(net, 1).save(tmp_path / "own.caffemodel")
    return Classifier(net, tmp_path / "own.caffemodel", image_dims=np.array([5, 9]))  # type: ignore[arg-type]


def test_what_cannot_be_classified(classifier: Classifier) -> None:
    with pytest.raises(InputError, match="at least one image"):
        classifier.predict([])
    with pytest.raises(InputError, match=r"image_dims are 5×9, smaller than the net's input of 7×6"):
        classifier.predict([np.zeros((8, 8, 3))], oversample=False)
    with pytest.raises(InputError, match=r"crops of 7×6 cannot be cut from images of 5×9"):
        classifier.predict([np.zeros((8, 8, 3))])


def test_images_of_other_channels_are_refused(net: Path, classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4, 4, 7, 6"):
        Classifier(net, tmp_path / "own.caffemodel").predict([np.zeros((8, 8, 4))], oversample=False)


def test_nets_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }'
    )
    from batchbrew.caffe.net import Net

    Net(tmp_path / "no.prototxt", 1).save(tmp_path / "no.caffemodel")
    with pytest.raises(InputError, match="no input of N×C×H×W images"):
        Classifier(tmp_path / "no.prototxt", tmp_path / "no.caffemodel")
