"""Net: its graph, its passes and its gradients' ways, the same as in real Caffe."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchbrew import caffe
from batchbrew.caffe.layer import LayerError
from batchbrew.errors import InputError
from tests.conftest import RunCaffe

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'


def inner(name: str, bottom: str, top: str | None = None, more: str = "") -> str:
    """An InnerProduct of three outputs."""
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top or name}" {more} '
        'inner_product_param { num_output: 3 weight_filler { type: "constant" value: 0.5 } } }'
    )


def relu(name: str, bottom: str, top: str, more: str = "") -> str:
    """A ReLU."""
    return f'layer {{ name: "{name}" type: "ReLU" bottom: "{bottom}" top: "{top}" {more} }}'


def loss(name: str, *bottoms: str, more: str = "") -> str:
    """A Euclidean loss."""
    named = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "EuclideanLoss" {named} top: "{name}" {more} }}'


NETS = {
    "two readers": [INPUT, inner("a", "x"), inner("b", "a"), inner("c", "a"), loss("l", "b", "c")],
    "in place, then two readers": [
        INPUT, inner("a", "x"), relu("r", "a", "a"), inner("b", "a"), inner("c", "a"), loss("l", "b", "c"),
    ],
    "a weighted blob that is read": [INPUT, inner("a", "x", more="loss_weight: 2"),
        inner("b", "a", more="loss_weight: 3")],
    "a weighted loss that is read": [
        INPUT, inner("a", "x"), inner("b", "x"), loss("l", "a", "b", more="loss_weight: 0.5"), relu("r", "l", "m"),
    ],
    "no top named": [INPUT, inner("a", "x"), inner("b", "x"),
                     'layer { name: "l" type: "EuclideanLoss" bottom: "a" bottom: "b" }'],
    "nothing learns below": [
        INPUT, inner("a", "x", more="param { lr_mult: 0 } param { lr_mult: 0 }"), inner("b", "a"), inner("c", "a"),
        loss("l", "b", "c"),
    ],
    "a bias alone learns": [INPUT, inner("a", "x", more="param { lr_mult: 0 } param { lr_mult: 1 }"), inner("b", "x"),
                            loss("l", "a", "b")],
    "propagation stopped": [
        INPUT, inner("a", "x"), inner("b", "a", more="propagate_down: false"), inner("c", "a"), loss("l", "b", "c"),
    ],
    "propagation stopped everywhere": [
        INPUT, inner("a", "x"), inner("b", "a", more="propagate_down: false"), inner("c", "x"), loss("l", "b", "c"),
    ],
    "propagation to an input": [INPUT, inner("a", "x", more="propagate_down: true"), inner("b", "x"),
        loss("l", "a", "b")],
    "forced": ["force_backward: true", INPUT, inner("a", "x"), inner("b", "a"), inner("c", "x"), loss("l", "a", "c")],
    "no loss above": [INPUT, inner("a", "x"), inner("b", "x"), loss("l", "a", "b"), inner("side", "a"),
        inner("z", "side")],
    "a branch that ends": [INPUT, inner("a", "x"), inner("q", "a"), relu("q2", "q", "q"), inner("b", "x"),
        loss("l", "a", "b")],
    "shared": [
        INPUT, inner("a", "x", more='param { name: "w" lr_mult: 2 } param { name: "v" }'),
        inner("b", "a", more='param { name: "w" } param { name: "v" decay_mult: 3 }'), inner("c", "x"),
            loss("l", "b", "c"),
    ],
    "one input for all": [INPUT, inner("a", "x"), loss("l", "a", "x"), relu("r", "x", "y")],
    "phases": [
        INPUT, inner("a", "x", more="include { phase: TRAIN }"), inner("a2", "x", "a", more="include { phase: TEST }"),
        inner("b", "x", more='exclude { stage: "deploy" }'), relu("r", "a", "out", more='include { min_level: 1 }'),
    ],
    "old inputs": ['input: "x" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1', inner("a", "x"), inner("b", "x"),
                   loss("l", "a", "b")],
    "version 1": [
        'input: "x" input_shape { dim: 2 dim: 3 }',
        'layers { name: "a" type: INNER_PRODUCT bottom: "x" top: "a" blobs_lr: 1 blobs_lr: 0 inner_product_param '
        '{ num_output: 3 weight_filler { type: "constant" value: 0.5 } } }',
        'layers { name: "l" type: EUCLIDEAN_LOSS bottom: "a" bottom: "x" top: "l" }',
    ],
}  # fmt: skip

# Runs in either Caffe: sys.argv[1] is a list of prototxts, in JSON.
PROBE = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
import numpy as np

def array(values):
    return [round(float(value), 6) for value in np.ravel(values)]

def look(path, phase):
    net = caffe.Net(path, phase)
    found = {
        "layers": list(net._layer_names), "types": [layer.type for layer in net.layers],
        "blobs": list(net._blob_names), "inputs": net.inputs, "outputs": net.outputs,
        "tops": [list(net._top_ids(i)) for i in range(len(net.layers))],
        "bottoms": [list(net._bottom_ids(i)) for i in range(len(net.layers))],
        "weights": array(list(net._blob_loss_weights)), "params": [[k, len(v)] for k, v in net.params.items()],
    }
    for blob in net.blobs.values():
        blob.diff[...] = np.where(blob.diff, blob.diff, 1)
    net.blobs["x"].data[...] = np.arange(6).reshape(net.blobs["x"].data.shape) / 10.0 - 0.2
    found["loss"] = round(net._forward(0, len(net.layers) - 1), 6)
    net.backward()
    found["data"] = [array(blob.data) for blob in net._blobs]
    found["diff"] = [array(blob.diff) for blob in net._blobs]
    found["gradients"] = [array(blob.diff) for blobs in net.params.values() for blob in blobs]
    return found

def look_at_all(paths):
    return [look(path, phase) for path in paths for phase in (0, 1)]
"""
SAY = """
print(json.dumps(look_at_all(sys.argv[1:])))
"""


@pytest.fixture(scope="module")
def both(run_caffe: RunCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ours and real Caffe say of each net of NETS, in phases TRAIN and TEST."""
    folder = tmp_path_factory.mktemp("nets")
    paths = []
    for index, lines in enumerate(NETS.values()):
        path = folder / f"{index}.prototxt"
        path.write_text("\n".join(lines))
        paths.append(str(path))
    theirs = run_caffe(PROBE + SAY, *paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "caffe", caffe)
        patch.setenv("GLOG_minloglevel", "2")  # as the text sets it: not for the tests behind
        space: dict[str, Any] = {}
        exec(PROBE, space)
        ours = space["look_at_all"](paths)
    return {name: (ours[2 * i : 2 * i + 2], theirs[2 * i : 2 * i + 2]) for i, name in enumerate(NETS)}


@pytest.mark.parametrize("name", NETS)
def test_the_graph_its_loss_and_its_gradients_are_real_caffes(both: dict[str, Any], name: str) -> None:
    for ours, theirs in zip(*both[name], strict=True):
        for key in theirs:
            if key in ("loss", "data", "diff", "gradients"):
                assert np.allclose(_flat(ours[key]), _flat(theirs[key]), rtol=1e-5, atol=1e-6), key
            else:
                assert ours[key] == theirs[key], key


def _flat(numbers: Any) -> list[float]:
    if isinstance(numbers, list):
        return [number for each in numbers for number in _flat(each)]
    return [numbers]


def write(folder: Path, *lines: str) -> Path:
    """A prototxt of `lines`."""
    path = folder / "net.prototxt"
    path.write_text("\n".join(lines))
    return path


def test_all_forms_of_the_constructor(tmp_path: Path) -> None:
    path = write(tmp_path, *NETS["phases"])
    net = caffe.Net(path, caffe.TEST)
    net.save(tmp_path / "w.caffemodel")
    weights = str(tmp_path / "w.caffemodel")
    names = {
        tuple(each._layer_names)
        for each in (
            caffe.Net(str(path), weights, caffe.TEST),
            caffe.Net(network_file=str(path), phase=caffe.TEST, weights=weights),
            caffe.Net(str(path), caffe.TEST, weights=weights),
        )
    }
    assert names == {tuple(net._layer_names)}
    assert caffe.Net(path, caffe.TRAIN, 1, ["deploy"])._layer_names == ["in", "a", "r"]
    with pytest.raises(InputError, match="needs a phase"):
        caffe.Net(path)
    with pytest.raises(InputError, match="stages is a list"):
        caffe.Net(path, caffe.TEST, stages="deploy")


def test_a_file_that_is_not_there_is_a_runtime_error_as_in_pycaffe(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"gone\.prototxt is not there"):
        caffe.Net(tmp_path / "gone.prototxt", caffe.TEST)
    with pytest.raises(RuntimeError, match=r"gone\.caffemodel is not there"):
        caffe.Net(write(tmp_path, INPUT), str(tmp_path / "gone.caffemodel"), caffe.TEST)


def test_parts_of_a_net_run_by_layer_name(tmp_path: Path) -> None:
    net = caffe.Net(write(tmp_path, INPUT, inner("a", "x"), relu("r", "a", "b"), inner("c", "b")), caffe.TEST)
    net.blobs["b"].data[...] = 1
    assert list(net.forward(start="c")) == ["c"] and net.blobs["c"].data.tolist() == [[1.5] * 3] * 2
    assert sorted(net.forward(end="r", blobs=["a"], x=np.ones((2, 3)))) == ["a", "b"]
    net.blobs["c"].diff[...] = 1
    found = net.backward(start="c", end="r", diffs=["b"])
    assert sorted(found) == ["a", "b"] and not found["b"].any()  # nothing counts as a loss: no gradient flows
    with pytest.raises(LayerError, match=r"has no layer 'd'; it has in, a, r, c"):
        net.forward(start="d")
    with pytest.raises(LayerError, match=r"layers 0 to 9: .* has 4"):
        net._forward(0, 9)


def test_inputs_are_all_given_and_of_the_nets_batch(tmp_path: Path) -> None:
    net = caffe.Net(write(tmp_path, INPUT, inner("a", "x")), caffe.TEST)
    with pytest.raises(InputError, match=r"data is given for y, but the net's are x"):
        net.forward(y=np.ones((2, 3)))
    with pytest.raises(InputError, match=r"data of x has shape \(3, 3\), the blob has \(2, 3\)"):
        net.forward(x=np.ones((3, 3)))
    with pytest.raises(InputError, match=r"data of x has shape \(2, 4\), the blob has \(2, 3\)"):
        net.forward(x=np.ones((2, 4)))


def test_any_number_of_images_in_batches(tmp_path: Path) -> None:
    net = caffe.Net(
        write(tmp_path, "force_backward: true", INPUT, inner("a", "x"), relu("r", "a", "b")), caffe.TEST
    )
    images = np.arange(15, dtype=np.float32).reshape(5, 3) - 6
    found = net.forward_all(x=images, blobs=["a"])
    sums = images.sum(1, keepdims=True) / 2 * np.ones(3)
    assert np.allclose(found["a"], sums) and np.allclose(found["b"], np.maximum(sums, 0))
    data, diffs = net.forward_backward_all(x=images, b=np.ones((5, 3), np.float32))
    assert np.allclose(data["b"], np.maximum(sums, 0))
    assert np.allclose(diffs["x"], (sums > 0) * 1.5)
    with pytest.raises(InputError, match="forward_all needs images: give x"):
        net.forward_all()


def test_callbacks_see_every_layer_in_order(tmp_path: Path) -> None:
    net = caffe.Net(
        write(tmp_path, "force_backward: true", INPUT, inner("a", "x"), relu("r", "a", "b")), caffe.TEST
    )
    seen: list[tuple[str, int]] = []
    for moment in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(net, moment)(lambda index, moment=moment: seen.append((moment, index)))
    net.forward()
    net.backward()
    assert seen == [
        *((moment, index) for index in (0, 1, 2) for moment in ("before_forward", "after_forward")),
        *((moment, index) for index in (2, 1, 0) for moment in ("before_backward", "after_backward")),
    ]


def test_a_reshaped_input_reshapes_the_net(tmp_path: Path) -> None:
    net = caffe.Net(write(tmp_path, INPUT, inner("a", "x"), relu("r", "a", "b")), caffe.TEST)
    net.blobs["x"].reshape(5, 3)
    net.reshape()
    assert net.blobs["b"].shape == (5, 3)
    assert net.forward(x=np.ones((5, 3)))["b"].shape == (5, 3)
    net.blobs["x"].reshape(5, 4)
    with pytest.raises(LayerError, match=r"layer a \(InnerProduct\): has parameter 0 of shape \(3, 3\), but"):
        net.forward()


def test_a_reshaped_parameter_is_told_with_its_layer(tmp_path: Path) -> None:
    net = caffe.Net(write(tmp_path, INPUT, inner("a", "x")), caffe.TEST)
    net.forward()
    net.params["a"][0].reshape(4, 3)
    with pytest.raises(LayerError, match=r"layer a \(InnerProduct\): has parameter 0 of shape \(4, 3\), but"):
        net.forward()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([INPUT, inner("a", "y")], r"layer a \(InnerProduct\): no layer before it makes its bottom 'y'"),
        ([inner("a", "b"), inner("b", "a")], r"layer a .* no layer before it makes its bottom 'b'"),
        ([INPUT, inner("a", "x"), inner("b", "x", "a")], r"layer b .* its top a is already made by layer a"),
        ([INPUT, inner("a", "x", more="propagate_down: true propagate_down: true")], "2 propagate_down for 1 bottoms"),
        ([INPUT, inner("a", "x", more="loss_weight: 1 loss_weight: 1")], "2 loss_weight for 1 tops"),
        ([INPUT, inner("a", "x", more="param {} param {} param {}")], "has 3 param, but only 2 parameters"),
        ([INPUT, inner("a", "x").replace("InnerProduct", "OuterProduct")], "has type 'OuterProduct'"),
        ([INPUT, inner("a", "x", more="include { phase: TEST } exclude { phase: TRAIN }")], "include and exclude"),
        (['name: "empty"'], "network 'empty' has no layers"),
        (
            [INPUT, inner("a", "x", more='param { name: "w" }'),
                inner("b", "x", more='param { name: "w" lr_mult: 3 }')],
            None,
        ),
        (
            [
                INPUT,
                inner("a", "x", more='param { name: "w" lr_mult: 2 }'),
                inner("b", "x", more='param { name: "w" lr_mult: 3 }'),
            ],
            r"layer b .* its parameter 'w' has lr_mult 3, but 2 in layer a",
        ),
        (
            [INPUT, inner("a", "x", more='param { name: "w" } param { name: "w" }')],
            r"its parameter 'w' is 3, but that of layer a, with which it is shared, is 3×3",
        ),
        (
            [INPUT.replace("dim: 2", "dim: 200000").replace("dim: 3", "dim: 10000"), relu("r", "x", "y"),
                relu("s", "y", "z"),
             relu("t", "z", "u"), *[relu(f"r{i}", "u", f"v{i}") for i in range(200)]],
            r"the net takes [\d,.]+ GB up to here, but [\d,.]+ GB of memory are free",
        ),
        ([INPUT.replace("dim: 2", "dim: 2147483648")], r"layer in \(Input\): its output .* is too large"),
    ],
)  # fmt: skip
def test_nets_that_cannot_be_built(tmp_path: Path, lines: list[str], message: str | None) -> None:
    path = write(tmp_path, *lines)
    if message is None:
        assert caffe.Net(path, caffe.TRAIN).learnable_params[0].lr_mult == 3
        return
    with pytest.raises(InputError, match=message) as caught:
        caffe.Net(path, caffe.TRAIN)
    assert len(str(caught.value).splitlines()) == 1
