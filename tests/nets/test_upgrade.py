"""Networks of 2013 and 2014 as real Caffe upgrades them."""

from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.nets.shapes import infer_shapes
from batchbrew.nets.upgrade import V1_TYPES, upgraded
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import format_prototxt, parse_prototxt
from tests.conftest import RunCaffe
from tests.nets.shapes.caffe_builds import build_in_caffe

V1 = """
name: "old" input: "x" input_dim: 2 input_dim: 3 input_dim: 12 input_dim: 12
layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  param: "w" blob_share_mode: PERMISSIVE
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layers { name: "r" type: RELU bottom: "c" top: "c" relu_param { negative_slope: 0.5 } }
layers { name: "n" type: LRN bottom: "c" top: "n" lrn_param { local_size: 3 } exclude { phase: TEST } }
layers { name: "p" type: POOLING bottom: "n" top: "p" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layers { name: "i" type: INNER_PRODUCT bottom: "p" top: "i" inner_product_param { num_output: 5 } }
layers { name: "d" type: DROPOUT bottom: "i" top: "i" dropout_param { dropout_ratio: 0.25 } }
layers { name: "z" type: DUMMY_DATA top: "z" dummy_data_param { num: 2 channels: 1 height: 1 width: 1 } }
layers { name: "l" type: SOFTMAX_LOSS bottom: "i" bottom: "z" top: "l" loss_weight: 0.5 include { phase: TRAIN } }
"""
V1_DATA = """
layers { name: "d" type: DATA top: "d" top: "l" data_param { source: "nowhere" batch_size: 2 crop_size: 5
  mirror: true scale: 0.5 mean_file: "mean" backend: LMDB } }
layers { name: "i" type: IMAGE_DATA top: "i" top: "m" image_data_param { source: "nowhere" crop_size: 5 }
  transform_param { mirror: true } }
layers { name: "w" type: WINDOW_DATA top: "w" top: "n" window_data_param { source: "nowhere" crop_size: 5 } }
"""
V0 = """
name: "oldest" input: "x" input_dim: 2 input_dim: 3 input_dim: 12 input_dim: 12
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "x" top: "pad1" }
layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 5 stride: 2 group: 1 biasterm: true
  weight_filler { type: "gaussian" std: 0.5 } blobs_lr: 1. blobs_lr: 2. weight_decay: 1. weight_decay: 0. }
  bottom: "pad1" top: "c" }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "c" top: "p" }
layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 0.5 beta: 0.25 } bottom: "p" top: "n" }
layers { layer { name: "k" type: "concat" concat_dim: 1 } bottom: "n" bottom: "p" top: "k" }
layers { layer { name: "i" type: "innerproduct" num_output: 5 } bottom: "k" top: "i" }
layers { layer { name: "d" type: "dropout" dropout_ratio: 0.25 } bottom: "i" top: "i" }
layers { layer { name: "s" type: "softmax" } bottom: "i" top: "s" }
"""
V0_DATA = """
layers { layer { name: "d" type: "images" source: "nowhere" meanfile: "mean" batchsize: 7 cropsize: 5 mirror: true
  scale: 0.5 rand_skip: 3 shuffle_images: true new_height: 8 new_width: 9 } top: "d" top: "l" }
layers { layer { name: "w" type: "window_data" source: "nowhere" batchsize: 2 cropsize: 5 det_fg_threshold: 0.25
  det_context_pad: 3 det_crop_mode: "square" } top: "w" top: "m" }
"""
TODAY = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "b" type: "BatchNorm" bottom: "x" top: "b" param { lr_mult: 1 } param { } param { name: "s" } }
"""
NETS = {"V1": V1, "V1 data": V1_DATA, "V0": V0, "V0 data": V0_DATA, "today": TODAY}


def parsed(text: str) -> pb.NetParameter:
    return parse_prototxt(text, pb.NetParameter)


def test_upgrades_like_caffe(run_caffe: RunCaffe, tmp_path: Path) -> None:
    nets = [parsed(text) for text in NETS.values()]
    for name, net, build in zip(NETS, nets, build_in_caffe(run_caffe, tmp_path, nets), strict=True):
        theirs = build.upgraded
        theirs.ClearField("state")  # the phase, put there by whoever built it
        assert format_prototxt(upgraded(net)) == format_prototxt(theirs), name
        if "data" not in name:
            assert build.refused is None, name
            assert build.differences(infer_shapes(net)) == [], name


def test_all_types_of_v1_like_caffe(run_caffe: RunCaffe, tmp_path: Path) -> None:
    assert set(V1_TYPES) == set(pb.V1LayerParameter.LayerType.values())
    nets = []
    for kind in V1_TYPES:
        net = pb.NetParameter()
        net.layers.add(name="l", type=kind, top=["t"])
        nets.append(net)
    for net, build in zip(nets, build_in_caffe(run_caffe, tmp_path, nets), strict=True):
        assert upgraded(net).layer[0].type == build.upgraded.layer[0].type


def test_todays_networks_are_left_as_they_are() -> None:
    net = parsed('layer { name: "x" type: "Input" top: "x" }')
    assert upgraded(net) is net


def test_the_old_message_is_not_changed() -> None:
    net = parsed(V1)
    before = net.SerializeToString(deterministic=True)
    upgraded(net)
    assert net.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'layer { name: "a" } layers { name: "b" }',
            r"has both layer and layers: Caffe would drop its 1 layer",
        ),
        ('input: "x" input_dim: 1 input_dim: 2', r"has 2 input_dim for 1 input: give four for each"),
        ('input: "x" input: "y" input_shape { dim: 1 }', r"has 1 input_shape for 2 input: give one for each"),
        ('input: "x" input_shape { dim: 1 } input_dim: 1', r"has both input_shape and input_dim"),
        (
            'layers { layer { name: "a" type: "magic" } }',
            r"layer a has type 'magic', which no Caffe of 2013 had",
        ),
        (
            'layers { layer { name: "a" type: "relu" pad: 1 } }',
            r"layer a \(relu\) has pad, which its type does not",
        ),
        (
            'layers { layer { name: "a" type: "padding" pad: 1 } bottom: "x" top: "a" }'
            'layers { layer { name: "b" type: "relu" } bottom: "a" top: "b" }',
            r"layer b \(relu\) reads the padding layer a: only a conv or pool with one bottom can",
        ),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        upgraded(parsed(text))
