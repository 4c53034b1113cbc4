"""Weight files as others made them, of all of Caffe's formats, read by real Caffe and by ours: every blob the same.

Real Caffe's own protobuf writes them: the layers of 2013 and 2014 (V0 and V1) with blobs of four legacy dimensions,
and BatchNorm with Scale, whose statistics come with any scale factor. They hold layers that the net has not, too.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew import caffe
from batchbrew.parity.compare import difference
from batchbrew.parity.tolerances import FP32
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary
from tests.conftest import RunCaffe

Arrays = Mapping[str, NDArray[np.float32]]

V0 = """
name: "of 2013" input: "data" input_dim: 2 input_dim: 3 input_dim: 15 input_dim: 13
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 4 kernelsize: 5 stride: 2
                 blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 } bottom: "pad1" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "conv1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 0.01 beta: 0.75 } bottom: "pool1" top: "norm1" }
layers { layer { name: "conv2" type: "conv" num_output: 6 kernelsize: 3 group: 2 } bottom: "norm1" top: "conv2" }
layers { layer { name: "fc3" type: "innerproduct" num_output: 5 } bottom: "conv2" top: "fc3" }
layers { layer { name: "drop3" type: "dropout" dropout_ratio: 0.3 } bottom: "fc3" top: "fc3" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc3" top: "prob" }
"""
V1 = """
name: "of 2014" input: "data" input_dim: 2 input_dim: 3 input_dim: 15 input_dim: 13
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
         blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
         convolution_param { num_output: 4 kernel_size: 5 stride: 2 pad: 2 } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "norm1" type: LRN bottom: "conv1" top: "norm1" lrn_param { local_size: 3 alpha: 0.01 beta: 0.75 } }
layers { name: "pool1" type: POOLING bottom: "norm1" top: "pool1"
         pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "left" type: CONVOLUTION bottom: "pool1" top: "left" param: "w" param: "b"
         convolution_param { num_output: 4 kernel_size: 3 group: 2 pad: 1 } }
layers { name: "right" type: CONVOLUTION bottom: "left" top: "right" param: "w" param: "b"
         convolution_param { num_output: 4 kernel_size: 3 group: 2 pad: 1 } }
layers { name: "both" type: ELTWISE bottom: "left" bottom: "right" top: "both" eltwise_param { operation: MAX } }
layers { name: "all" type: CONCAT bottom: "both" bottom: "pool1" top: "all" }
layers { name: "fc2" type: INNER_PRODUCT bottom: "all" top: "fc2" inner_product_param { num_output: 7 } }
layers { name: "sigmoid2" type: SIGMOID bottom: "fc2" top: "sigmoid2" }
layers { name: "drop2" type: DROPOUT bottom: "sigmoid2" top: "sigmoid2" dropout_param { dropout_ratio: 0.5 } }
layers { name: "fc3" type: INNER_PRODUCT bottom: "sigmoid2" top: "fc3"
         inner_product_param { num_output: 5 bias_term: false } }
layers { name: "prob" type: SOFTMAX bottom: "fc3" top: "prob" }
"""
BATCH_NORM = """
name: "normalised"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 7 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 4 kernel_size: 3 stride: 2 } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" batch_norm_param { use_global_stats: true } }
layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "bn2" type: "BatchNorm" bottom: "conv2" top: "bn2" batch_norm_param { eps: 0.001 } }
layer { name: "scale2" type: "Scale" bottom: "bn2" top: "scale2" }
layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "scale2" top: "sum" }
layer { name: "empty" type: "BatchNorm" bottom: "sum" top: "empty" }
layer { name: "fc" type: "InnerProduct" bottom: "empty" top: "fc" inner_product_param { num_output: 3 } }
"""
NETS = {"v0": V0, "v1": V1, "batch_norm": BATCH_NORM}
SCALE_FACTORS = {"bn1": 1.0, "bn2": 999.9823608398438, "empty": 0.0}

# Writes, for each net, its weights, then what real Caffe reads of them, and every layer's tops as it runs.
MAKE_AND_RUN = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import numpy as np, caffe
from caffe.proto import caffe_pb2 as pb
from google.protobuf import text_format
folder, factors = sys.argv[1], json.loads(sys.argv[2])
draw = np.random.RandomState(1)

def values(layer, index, shape):
    if layer in factors:
        if index == 2:
            return np.float32([factors[layer]])
        return (draw.rand(*shape) + 0.1) * (factors[layer] or 1)
    return draw.randn(*shape) / np.sqrt(max(1, np.prod(shape[1:])))

def fill(holder, shapes, legacy):
    for index, shape in enumerate(shapes):
        blob = holder.blobs.add()
        if legacy:
            blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - len(shape)) + tuple(shape)
        else:
            blob.shape.dim.extend(shape)
        blob.data.extend(values(holder.name, index, shape).astype(np.float32).ravel().tolist())

for name in sys.argv[3:]:
    prototxt, weights = ("%s/%s.%s" % (folder, name, suffix) for suffix in ("prototxt", "caffemodel"))
    param = pb.NetParameter()
    text_format.Merge(open(prototxt).read(), param)
    built = caffe.Net(prototxt, caffe.TEST)
    legacy = bool(param.layers)
    for layer in list(param.layers or param.layer):
        holder = layer.layer if legacy and layer.HasField("layer") else layer
        fill(holder, [blob.data.shape for blob in built.params.get(holder.name, ())], legacy)
    if name != "v0":
        gone = (param.layers if legacy else param.layer).add(name="gone")
        gone.type = pb.V1LayerParameter.INNER_PRODUCT if legacy else "InnerProduct"
        gone.bottom.append("data")
        gone.top.append("gone")
        fill(gone, [(2, 3), (2,)], legacy)
    with open(weights, "wb") as file:
        file.write(param.SerializeToString())

    net = caffe.Net(prototxt, weights, caffe.TEST)
    found = {"parameter|%s|%d" % (layer, i): blob.data
             for layer, blobs in net.params.items() for i, blob in enumerate(blobs)}
    net.blobs["data"].data[...] = draw.randn(*net.blobs["data"].data.shape)
    found["data"] = net.blobs["data"].data.copy()
    for index, layer in enumerate(net._layer_names):
        net._forward(index, index)
        for top in net.top_names[layer]:
            found["top|%s|%s" % (layer, top)] = net.blobs[top].data.copy()
    np.savez("%s/%s.npz" % (folder, name), **found)
print(json.dumps("done"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run_caffe: RunCaffe) -> Path:
    """NAME.prototxt, .caffemodel, and .npz of all that real Caffe made of them."""
    path = tmp_path_factory.mktemp("foreign")
    for name, text in NETS.items():
        (path / f"{name}.prototxt").write_text(text)
    run_caffe(MAKE_AND_RUN, path, json.dumps(SCALE_FACTORS), *NETS)
    return path


def in_ours(folder: Path, name: str, data: NDArray[np.float32]) -> Arrays:
    """The same arrays as real Caffe's, but `data`."""
    net = caffe.Net(folder / f"{name}.prototxt", caffe.TEST, weights=folder / f"{name}.caffemodel")
    found = {
        f"parameter|{layer}|{index}": blob.data.copy()
        for layer, blobs in net.params.items()
        for index, blob in enumerate(blobs)
    }
    net.blobs["data"].data[...] = data
    for index, layer in enumerate(net.layer_dict):
        net.forward_pass(index, index)
        found.update({f"top|{layer}|{top}": net.blobs[top].data.copy() for top in net.top_names[layer]})
    return found


@pytest.mark.parametrize("name", NETS)
def test_every_parameter_and_every_layers_tops(folder: Path, name: str) -> None:
    with np.load(folder / f"{name}.npz") as file:
        theirs = {key: file[key] for key in file.files}
    ours = in_ours(folder, name, theirs.pop("data"))
    assert set(ours) == set(theirs)
    for key, array in theirs.items():
        if key.startswith("parameter"):
            assert np.array_equal(ours[key], array), key
        else:
            assert difference(array, ours[key]) <= FP32.forward, key


def test_of_layers_that_share_parameters_the_last_in_the_file_counts(folder: Path) -> None:
    net = caffe.Net(folder / "v1.prototxt", caffe.TEST, weights=folder / "v1.caffemodel")
    written = {layer.name: layer for layer in read_binary(folder / "v1.caffemodel", pb.NetParameter).layers}
    last, first = (np.float32(written[name].blobs[0].data) for name in ("right", "left"))
    assert not np.array_equal(first, last)
    assert np.array_equal(net.params["left"][0].data.ravel(), last)
    assert np.array_equal(net.params["right"][0].data.ravel(), last)


def test_statistics_are_divided_by_the_scale_factor_and_a_factor_of_0_leaves_none(folder: Path) -> None:
    net = caffe.Net(folder / "batch_norm.prototxt", caffe.TEST, weights=folder / "batch_norm.caffemodel")
    net.forward(data=np.random.default_rng(1).normal(size=(2, 3, 9, 7)))
    mean, variance, factor = (blob.data for blob in net.params["bn2"])
    assert factor == np.float32(999.98236)
    mean, variance = (array[:, None, None] / factor for array in (mean, variance))
    expected = (net.blobs["conv2"].data - mean) / np.sqrt(variance + 0.001)
    assert difference(expected, net.blobs["bn2"].data) < 1e-5
    mean, variance, factor = (blob.data for blob in net.params["empty"])
    assert factor == 0 and mean.all() and variance.all()
    assert difference(net.blobs["sum"].data * 316.22777, net.blobs["empty"].data) < 1e-5  # 1 / √0.00001
