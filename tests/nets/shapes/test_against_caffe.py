"""All shapes, parameters and verdicts against real Caffe, for random layers of every type and random wirings."""

from pathlib import Path

import pytest

from batchbrew.nets.shapes import EmptyBlobError, ShapeError, infer_shapes
from batchbrew.nets.shapes.families import LAYER_TYPES
from batchbrew.parity.specimens.specimens import MAKERS, specimens
from batchbrew.parity.specimens.wirings import wirings
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import format_prototxt, parse_prototxt
from tests.conftest import RunCaffe
from tests.nets.shapes.caffe_builds import Build, build_in_caffe

SEED, ROUNDS, WIRINGS = 1, 4, 150
READING_FILES = {"Data", "HDF5Data", "HDF5Output", "ImageData", "WindowData", "Python"}

Pair = tuple[pb.NetParameter, Build]


@pytest.fixture(scope="module")
def built_specimens(run_caffe: RunCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Pair]]:
    """By layer type."""
    named = list(specimens(SEED, ROUNDS))
    builds = build_in_caffe(run_caffe, tmp_path_factory.mktemp("specimens"), [net for _, net in named])
    pairs: dict[str, list[Pair]] = {kind: [] for kind in MAKERS}
    for (name, net), build in zip(named, builds, strict=True):
        pairs[name.split()[0]].append((net, build))
    return pairs


def disagreements(net: pb.NetParameter, build: Build, phase: int = pb.TRAIN) -> list[str]:
    try:
        ours = infer_shapes(net, phase)
    except EmptyBlobError as error:
        # Caffe builds a network with an empty blob, and ends in its first forward pass.
        fine = build.refused or any(0 in shape for shape in build.blobs.values())
        return [] if fine else [f"we refuse it ({error}), Caffe does not"]
    except ShapeError as error:
        return [] if build.refused else [f"we refuse it ({error}), Caffe does not"]
    return [f"Caffe refuses it: {build.refused}"] if build.refused else build.differences(ours)


@pytest.mark.parametrize("kind", MAKERS)
def test_layer_type(built_specimens: dict[str, list[Pair]], kind: str) -> None:
    pairs = built_specimens[kind]
    assert any(not build.refused for _, build in pairs), "no specimen was valid"
    for net, build in pairs:
        wrong = disagreements(net, build)
        assert not wrong, "\n".join([*wrong, format_prototxt(net)])


def test_many_specimens_are_refused(built_specimens: dict[str, list[Pair]]) -> None:
    refused = sum(bool(build.refused) for pairs in built_specimens.values() for _, build in pairs)
    assert refused > 30


@pytest.mark.parametrize("phase", [pb.TRAIN, pb.TEST])
def test_wirings(run_caffe: RunCaffe, tmp_path: Path, phase: pb.Phase) -> None:
    nets = [net for _, net in wirings(SEED + phase, WIRINGS // 2)]
    builds = build_in_caffe(run_caffe, tmp_path, nets, phase)
    assert 20 < sum(bool(build.refused) for build in builds) < WIRINGS // 2 - 20
    for net, build in zip(nets, builds, strict=True):
        wrong = disagreements(net, build, phase)
        assert not wrong, "\n".join([*wrong, format_prototxt(net)])


def test_every_type_of_caffe_is_known_and_tested(run_caffe: RunCaffe) -> None:
    theirs = set(run_caffe("import caffe, json; print(json.dumps(list(caffe.layer_type_list())))"))
    assert set(LAYER_TYPES) == theirs
    assert set(MAKERS) | READING_FILES == theirs


REFUSED = {
    "window larger than the image": (
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" '
        "convolution_param { num_output: 1 kernel_size: 9 } }",
        r"output of layer c would be 2×1×-2×-2",
    ),
    "pooling window larger than the image": (
        'layer { name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param { kernel_size: 9 } }',
        r"output of layer p would be 2×4×-2×-2",
    ),
    "pad as large as the kernel": (
        'layer { name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param { kernel_size: 2 pad: 2 } }',
        r"layer p \(Pooling\): pad 2×2 must be less than the kernel, 2×2",
    ),
    "eltwise of unlike blobs": (
        'layer { name: "e" type: "Eltwise" bottom: "x" bottom: "y" top: "e" }',
        r"layer e \(Eltwise\): bottom y is 2×8, but x is 2×4×6×6",
    ),
    "reshape that does not divide": (
        'layer { name: "r" type: "Reshape" bottom: "x" top: "r" reshape_param { shape { dim: 5 dim: -1 } } }',
        r"layer r \(Reshape\): cannot make \[5, -1\] of its bottom, 2×4×6×6: 5 does not divide 288",
    ),
    "groups that do not divide": (
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" '
        "convolution_param { num_output: 3 kernel_size: 1 group: 2 } }",
        r"layer c \(Convolution\): group 2 must divide the 4 channels that come in and the num_output 3",
    ),
    "concat of unlike blobs": (
        'layer { name: "k" type: "Concat" bottom: "x" bottom: "y" top: "k" }',
        r"layer k \(Concat\): bottom y is 2×8, but x is 2×4×6×6: they may differ along axis 1 only",
    ),
    "blob that no layer makes": (
        'layer { name: "t" type: "ReLU" bottom: "gone" top: "t" }',
        r"layer t \(ReLU\): no layer before it makes its bottom 'gone' in this phase",
    ),
    "top that is there already": (
        'layer { name: "t" type: "ReLU" bottom: "x" top: "y" }',
        r"layer t \(ReLU\): its top y is already made by layer input: give it another name",
    ),
    "in place on what others read": (
        'layer { name: "s" type: "Sigmoid" bottom: "x" top: "s" } '
        'layer { name: "t" type: "ReLU" bottom: "x" top: "x" }',
        r"layer t \(ReLU\): works in place on x, which other layers read too",
    ),
    "too many param": (
        'layer { name: "t" type: "ReLU" bottom: "x" top: "t" param { lr_mult: 1 } }',
        r"layer t \(ReLU\): has 1 param, but only 0 parameters",
    ),
    "labels that do not fit the scores": (
        'layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "l" }',
        r"layer l \(SoftmaxWithLoss\): has scores 2×4×6×6 for 72 places, but 16 labels in y",
    ),
    "top_k beyond the classes": (
        'layer { name: "a" type: "Accuracy" bottom: "y" bottom: "z" top: "a" accuracy_param { top_k: 9 } }',
        r"layer a \(Accuracy\): top_k 9 is more than there are scores for a label: 2×8 for 2",
    ),
    "learned statistics": (
        'layer { name: "b" type: "BatchNorm" bottom: "x" top: "b" param { lr_mult: 1 } }',
        r"layer b \(BatchNorm\): collects statistics, which cannot be learned",
    ),
    "both kinds of rules": (
        'layer { name: "t" type: "ReLU" bottom: "x" top: "t" include { phase: TRAIN } exclude { phase: TEST } }',
        r"layer t \(ReLU\): has include and exclude rules",
    ),
    "shared parameters of other shapes": (
        'layer { name: "i" type: "InnerProduct" bottom: "x" top: "i" param { name: "w" } '
        "inner_product_param { num_output: 2 } }"
        'layer { name: "j" type: "InnerProduct" bottom: "y" top: "j" param { name: "w" } '
        "inner_product_param { num_output: 2 } }",
        r"layer j \(InnerProduct\): its parameter 'w' is 2×8, but that of layer i, .*is 2×144",
    ),
}
INPUT = """
layer { name: "input" type: "Input" top: "x" top: "y" top: "z" input_param {
  shape { dim: 2 dim: 4 dim: 6 dim: 6 } shape { dim: 2 dim: 8 } shape { dim: 2 } } }
"""


def test_what_caffe_refuses_is_refused_by_layer(run_caffe: RunCaffe, tmp_path: Path) -> None:
    nets = [parse_prototxt(INPUT + text, pb.NetParameter) for text, _ in REFUSED.values()]
    for what, net, build in zip(REFUSED, nets, build_in_caffe(run_caffe, tmp_path, nets), strict=True):
        assert build.refused, f"Caffe builds {what}"
        with pytest.raises(ShapeError, match=REFUSED[what][1]):
            infer_shapes(net)
