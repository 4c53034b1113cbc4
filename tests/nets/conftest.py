"""All ResNets in real Caffe, in one process: what it counts, and what flows back through each."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from batchbrew.nets.inputs import DataSource
from batchbrew.nets.phases import train_val_net
from batchbrew.nets.resnet import DEPTHS, resnet
from batchbrew.proto import caffe_pb2 as pb
from tests.conftest import RunCaffe

CLASSES = 7
# Odd sizes, so that each way of rounding a window count shows; small, as seven nets run on few cores.
CROPS = {10: 97, 18: 75, 26: 65, 34: 65, 50: 65, 101: 35, 152: 35}

ALL_NETS = """
import json, sys
import numpy as np
import caffe
caffe.set_random_seed(1)
random = np.random.RandomState(1)
answers = {}
for path in sys.argv[1:]:
    net = caffe.Net(path, caffe.TRAIN)
    net.blobs["data"].data[...] = random.randint(0, 256, net.blobs["data"].data.shape)
    net.blobs["label"].data[...] = [1, 3]
    net.params["score"][0].data[...] = random.randn(*net.params["score"][0].shape)  # else nothing flows back
    loss = float(net.forward()["loss"])
    net.backward()
    types = dict(zip(net._layer_names, (layer.type for layer in net.layers)))
    answer = {"loss": loss, "learned": 0, "statistics": 0, "multiply_adds": 0, "gradients": {}}
    for name, blobs in net.params.items():
        kind = "statistics" if types[name] == "BatchNorm" else "learned"
        answer[kind] += sum(int(blob.count) for blob in blobs)
        if kind == "learned":
            for index, blob in enumerate(blobs):
                answer["gradients"][name + "/" + str(index)] = float(np.abs(blob.diff).max())
        if types[name] in ("Convolution", "InnerProduct"):
            outputs = net.blobs[net.top_names[name][0]].data
            answer["multiply_adds"] += int(outputs.size // outputs.shape[1] * blobs[0].count)
    answers[path] = answer
    del net
print(json.dumps(answers))
"""


def runnable(net: pb.NetParameter, crop: int, images: int) -> pb.NetParameter:
    """A train_val network whose images and labels come from whoever runs it."""
    fed = pb.NetParameter(name=net.name)
    shapes = [pb.BlobShape(dim=[images, 3, crop, crop]), pb.BlobShape(dim=[images])]
    fed.layer.add(
        name="data", type="Input", top=["data", "label"], input_param=pb.InputParameter(shape=shapes)
    )
    fed.layer.extend(layer for layer in net.layer if layer.name != "data")
    return fed


@pytest.fixture(scope="session")
def resnets_in_caffe(
    run_caffe: RunCaffe, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, dict[str, Any]]:
    """By depth, of real Caffe: loss, parameters, multiply-adds for two images, largest gradients."""
    folder = tmp_path_factory.mktemp("resnets")
    source = DataSource("unused", "lmdb", 2)
    paths: dict[int, Path] = {}
    for depth in DEPTHS:
        body = resnet(depth, CLASSES)
        net = train_val_net("net", body, train=source, val=source, crop=CROPS[depth], classes=CLASSES)
        paths[depth] = folder / f"{depth}.prototxt"
        paths[depth].write_text(text_format.MessageToString(runnable(net, CROPS[depth], 2)))
    answers = run_caffe(ALL_NETS, *paths.values())
    return {depth: answers[str(path)] for depth, path in paths.items()}
