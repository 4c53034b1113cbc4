"""Our networks against the released ones: layer by layer, and whether their weights load, in real Caffe."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf import text_format

from batchbrew.nets.alexnet import alexnet, alexnet_original
from batchbrew.nets.phases import Body, deploy_net
from batchbrew.nets.resnet import resnet
from batchbrew.nets.resnet_he import resnet_he
from batchbrew.nets.vgg import vgg, vgg_original
from tests.conftest import RunCaffe
from tests.nets.released import feedforward as ff
from tests.nets.released import resnet_he as he
from tests.nets.released import resnet_preact as preact
from tests.nets.released.lines import as_net, described


@dataclass(frozen=True)
class Released:
    """`lines` at `crop`; `few_pixels` is a crop at which a Caffe gets by with less memory."""

    lines: list[str]
    body: Callable[[int], Body]
    crop: int = 224
    few_pixels: int = 32


RELEASED = {
    "AlexNet_cvgj": Released(ff.ALEXNET, lambda crop: alexnet(1000), crop=227, few_pixels=67),
    "VGG19_cvgj": Released(ff.VGG_19, lambda crop: vgg(19, 1000)),
    "ResNet10_cvgj": Released(preact.RESNET_10, lambda crop: resnet(10, 1000)),
    "ResNet50_cvgj": Released(preact.RESNET_50, lambda crop: resnet(50, 1000)),
    "bvlc_alexnet": Released(
        ff.ALEXNET_ORIGINAL, lambda crop: alexnet_original(1000), crop=227, few_pixels=67
    ),
    "VGG_ILSVRC_16_layers": Released(ff.VGG_16_ORIGINAL, lambda crop: vgg_original(16, 1000)),
    "VGG_ILSVRC_19_layers": Released(ff.VGG_19_ORIGINAL, lambda crop: vgg_original(19, 1000)),
    "ResNet-50": Released(he.RESNET_50, lambda crop: resnet_he(50, 1000, crop), few_pixels=224),
    "ResNet-101": Released(he.RESNET_101, lambda crop: resnet_he(101, 1000, crop), few_pixels=224),
    "ResNet-152": Released(he.RESNET_152, lambda crop: resnet_he(152, 1000, crop), few_pixels=224),
}


@pytest.mark.parametrize("name", RELEASED)
def test_layers_are_those_of_the_release(name: str) -> None:
    released = RELEASED[name]
    layers = deploy_net("net", released.body(released.crop), crop=released.crop).layer
    assert [layers[0].type, layers[-1].type] == ["Input", "Softmax"]
    assert [described(layer) for layer in layers[1:-1]] == released.lines


# Each blob gets a number of its own, so that one that is not loaded, or into a wrong place, shows.
LOAD = """
import json, os, sys
import numpy as np
import caffe
answer = {}
for path in sys.argv[1:]:
    released = caffe.Net(path + ".released", caffe.TEST)
    for number, blobs in enumerate(released.params.values()):
        for index, blob in enumerate(blobs):
            blob.data[...] = number + 1 + index / 4
    released.save(path + ".caffemodel")
    ours = caffe.Net(path + ".ours", caffe.TEST, weights=path + ".caffemodel")
    os.remove(path + ".caffemodel")
    answer[path] = {
        "left over": sorted(set(released.params) - set(ours.params)),
        "not loaded": sorted(set(ours.params) - set(released.params)),
        "different": [
            name for name in ours.params if name in released.params
            and not all(np.array_equal(one.data, other.data)
                        for one, other in zip(released.params[name], ours.params[name]))
        ],
        "layers": len(ours.params),
    }
    del released, ours
print(json.dumps(answer))
"""


def test_released_weights_load_with_none_left_over(run_caffe: RunCaffe, tmp_path: Path) -> None:
    for name, released in RELEASED.items():
        ours = deploy_net("net", released.body(released.few_pixels), crop=released.few_pixels)
        for layer in ours.layer:  # filling what is loaded over takes time
            layer.convolution_param.ClearField("weight_filler")
            layer.inner_product_param.ClearField("weight_filler")
        (tmp_path / f"{name}.ours").write_text(text_format.MessageToString(ours))
        theirs = as_net(released.lines, released.few_pixels)
        (tmp_path / f"{name}.released").write_text(text_format.MessageToString(theirs))
    answers = run_caffe(LOAD, *(tmp_path / name for name in RELEASED))
    for name, released in RELEASED.items():
        answer = answers[str(tmp_path / name)]
        kinds = ("Convolution", "InnerProduct", "BatchNorm", "Scale")
        assert answer == {
            "left over": [],
            "not loaded": [],
            "different": [],
            "layers": sum(line.split()[1] in kinds for line in released.lines),
        }, name
