"""Work in place: what lint says of a net, against real Caffe's own gradients, worked out in two ways."""

import json
from pathlib import Path
from typing import Any

import pytest

from batchbrew.lint.linter import lint_file
from tests.conftest import RunCaffe
from tests.lint.layers import layer

# Compares, for each net, backward's gradients with differences of losses, along random directions in all weights.
NUMERICAL_GRADIENTS = """
import json, os, sys
import caffe
import numpy as np
caffe.set_mode_cpu()
STEP, TOLERANCE = 5e-4, 0.03

def loss(net):
    caffe.set_random_seed(7)
    for name, value in values.items():
        net.blobs[name].data[...] = value
    return float(net.forward()["loss"])

def largest_error(path):
    caffe.set_random_seed(5)
    net = caffe.Net(path, caffe.TRAIN)
    random = np.random.RandomState(1)
    values.update(data=random.randn(2, 3, 4, 4), target=random.randn(2, 1))
    blobs = [blob for name, blobs in net.params.items() for blob in blobs if not name.startswith(("bn", "frozen"))]
    net.clear_param_diffs()
    loss(net)
    net.backward()
    gradients = [blob.diff.copy() for blob in blobs]
    tolds, founds = [], []
    for _ in range(6):
        directions = [random.randn(*blob.data.shape) for blob in blobs]
        tolds.append(sum(float((g * d).sum()) for g, d in zip(gradients, directions)))
        losses = []
        for sign in (1, -1):
            for blob, direction in zip(blobs, directions):
                blob.data[...] += sign * STEP * direction
            losses.append(loss(net))
            for blob, direction in zip(blobs, directions):
                blob.data[...] -= sign * STEP * direction
        founds.append((losses[0] - losses[1]) / (2 * STEP))
    return float(np.linalg.norm(np.subtract(tolds, founds)) / np.linalg.norm(founds))

values = {}
answers = {}
for path in sys.argv[1:]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(largest_error(path)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    answer = os.read(reader, 100)
    answers[path] = ("right" if json.loads(answer) < TOLERANCE else "wrong") if answer else "refused"
print(json.dumps(answers))
"""

INPUTS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "target" type: "Input" top: "target" input_param { shape { dim: 2 dim: 1 } } }
"""
LOSS = """
layer { name: "score" type: "InnerProduct" bottom: "BLOB" top: "score"
  inner_product_param { num_output: 1 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "score" bottom: "target" top: "loss" }
"""
GAUSSIAN = 'filler { type: "gaussian" }'


def conv(bottom: str, top: str) -> str:
    filler = 'weight_filler { type: "gaussian" std: 0.3 } bias_filler { value: 0.1 }'
    parameter = f"convolution_param {{ num_output: 3 kernel_size: 3 pad: 1 {filler} }}"
    return layer(top, "Convolution", bottom, top, parameter)


def here(kind: str, blob: str = "a", fields: str = "", name: str = "") -> str:
    """A layer in place."""
    return layer(name or kind.lower(), kind, blob, blob, fields)


NEGATIVE = "scale_param { filler { value: -2 } }"
SAME = "reshape_param { shape { dim: 0 dim: 0 dim: 0 dim: 0 } }"
RESHAPE = layer("r", "Reshape", "a", "r", SAME)
LEAKY = here("ReLU", fields="relu_param { negative_slope: 0.3 }")
FLATTEN = layer("f", "Flatten", "a", "f")
SCALE = f"scale_param {{ bias_term: true {GAUSSIAN} }}"
NORMALISED = here("BatchNorm", name="bn") + here("Scale", fields=SCALE) + here("ReLU")
FROZEN = conv("data", "frozen").replace(
    "convolution_param", "param { lr_mult: 0 } " * 2 + "convolution_param"
)
PRODUCT = "eltwise_param { operation: PROD }"

RIGHT = {
    "relu": conv("data", "a") + here("ReLU"),
    "relu, dropout": conv("data", "a") + here("ReLU") + here("Dropout"),
    "relu, tanh": conv("data", "a") + here("ReLU") + here("TanH"),
    "leaky relu, tanh of a view": conv("data", "a") + LEAKY + FLATTEN
    + here("TanH", "f"),
    "leaky relu, elu": conv("data", "a") + LEAKY + here("ELU"),
    "leaky relu, swish": conv("data", "a") + LEAKY + here("Swish"),
    "bn, scale, relu": conv("data", "a") + NORMALISED,
    # as the first unit of the released ResNet-50: both read a after it was worked on in place
    "two readers after": conv("data", "a") + NORMALISED + conv("a", "b") + conv("a", "c")
    + layer("sum", "Eltwise", "b,c", "d") + here("ReLU", "d", name="relu_d")
    + layer("p", "Pooling", "d", "a2", "pooling_param { kernel_size: 2 }"),
    "scale, prelu": conv("data", "a") + here("Scale", fields=SCALE) + here("PReLU"),
    "sigmoid": conv("data", "a") + here("Sigmoid"),
    "elu": conv("data", "a") + here("ELU"),
    "relu, lrn": conv("data", "a") + here("ReLU") + layer("n", "LRN", "a", "a2"),
    "lrn, relu": conv("data", "a") + layer("n", "LRN", "a", "a2", "lrn_param { alpha: 9 }") + here("ReLU", "a2"),
    "tanh, relu": conv("data", "a") + here("TanH") + here("ReLU"),
    "flatten, relu": conv("data", "a") + layer("f", "Flatten", "a", "f") + here("ReLU", "f"),
    "relu, flatten, dropout": conv("data", "a") + here("ReLU") + FLATTEN + here("Dropout", "f"),
    "relu, flatten, sigmoid elsewhere": conv("data", "a") + here("ReLU") + FLATTEN + layer("s", "Sigmoid", "f", "a2"),
    "relu elsewhere, flatten, sigmoid": conv("data", "b") + layer("relu", "ReLU", "b", "a") + FLATTEN
    + here("Sigmoid", "f"),
    "bn, scale, flatten, sigmoid": conv("data", "a") + here("BatchNorm", name="bn") + here("Scale", fields=SCALE)
    + FLATTEN + here("Sigmoid", "f"),
    "flatten of a flatten, relu": conv("data", "a") + FLATTEN + layer("g", "Flatten", "f", "a2") + here("ReLU", "a2"),
    "reshape of a flatten": conv("data", "a") + FLATTEN
    + layer("r", "Reshape", "f", "a2", "reshape_param { shape { dim: 0 dim: 3 dim: -1 } }"),
    "flatten of one of two readers of a reshape": conv("data", "a") + RESHAPE + layer("f2", "Flatten", "r", "g")
    + layer("r2", "Reshape", "r", "h", "reshape_param { shape { dim: 0 dim: -1 } }")
    + layer("sum", "Eltwise", "g,h", "a2"),
    "power on images": here("Power", "data", "power_param { scale: 3 }") + conv("data", "a"),
    "pooling, scale": conv("data", "a")
    + layer("p", "Pooling", "a", "a2", "pooling_param { kernel_size: 2 }") + here("Scale", "a2", SCALE),
    "sum, scale": conv("data", "a") + conv("data", "b") + layer("sum", "Eltwise", "a,b", "a2")
    + here("Scale", "a2", SCALE),
    "frozen convolution": FROZEN + here("Power", "frozen", "power_param { scale: 3 }")
    + layer("p", "Pooling", "frozen", "a2", "pooling_param { kernel_size: 2 }"),
}  # fmt: skip
WRONG = {
    "relu, bn": conv("data", "a") + here("ReLU") + here("BatchNorm", name="bn") + here("Scale", fields=SCALE),
    "relu, scale": conv("data", "a") + here("ReLU") + here("Scale", fields=NEGATIVE),
    "sigmoid, scale": conv("data", "a") + layer("s", "Sigmoid", "a", "a2") + here("Scale", "a2", SCALE),
    "sigmoid, dropout": conv("data", "a") + here("Sigmoid") + here("Dropout"),
    "exp, bias": conv("data", "a") + layer("e", "Exp", "a", "a2")
    + here("Bias", "a2", "bias_param { filler { value: 2 } }"),
    "elu, scale": conv("data", "a") + here("ELU") + here("Scale", fields=SCALE),
    "mvn, relu": conv("data", "a") + layer("m", "MVN", "a", "a2") + here("ReLU", "a2"),
    "relu, flatten, sigmoid": conv("data", "a") + here("ReLU") + FLATTEN + here("Sigmoid", "f"),
    "leaky relu, elu that rises to the left":
    conv("data", "a") + LEAKY
    + here("ELU", fields="elu_param { alpha: -1 }"),
    "relu, slice, scale": conv("data", "a") + here("ReLU") + layer("s", "Slice", "a", "a2")
    + here("Scale", "a2", NEGATIVE),
    "relu, two views, relu in one": conv("data", "a") + here("ReLU", fields="relu_param { negative_slope: 0.5 }")
    + RESHAPE + layer("r2", "Reshape", "a", "b", SAME) + here("ReLU", "r", name="relu_r")
    + layer("sum", "Eltwise", "b,r", "a2"),
    "relu, view, two views of that, dropout in one": conv("data", "a") + here("ReLU") + RESHAPE
    + layer("r2", "Reshape", "r", "b", SAME) + layer("r3", "Reshape", "r", "c", SAME) + here("Dropout", "c")
    + layer("e", "Scale", "b", "d", SCALE) + layer("sum", "Eltwise", "c,d", "a2"),
    "sigmoid, flatten, dropout": conv("data", "a") + here("Sigmoid") + FLATTEN + here("Dropout", "f"),
    "flatten of a reshape": conv("data", "a") + RESHAPE + layer("f", "Flatten", "r", "a2"),
    "flatten of a slice, relu between": conv("data", "a") + layer("s", "Slice", "a", "b") + here("ReLU", "b")
    + layer("f", "Flatten", "b", "a2"),
    "power": conv("data", "a") + here("Power", fields="power_param { scale: 3 }"),
    "square": conv("data", "a") + here("Power", fields="power_param { power: 2 }"),
    "clip": conv("data", "a") + here("Clip", fields="clip_param { min: -0.2 max: 0.2 }"),
    "lrn": conv("data", "a") + here("LRN"),
    "product in place": conv("data", "a") + conv("data", "b") + layer("m", "Eltwise", "a,b", "a", PRODUCT),
    "product, then its bottom elsewhere": conv("data", "a") + conv("data", "b")
    + layer("m", "Eltwise", "a,b", "c", PRODUCT) + RESHAPE
    + here("Scale", "r", SCALE) + layer("sum", "Eltwise", "c,r", "a2"),
    "convolution's bottom elsewhere": conv("data", "a") + conv("a", "b")
    + RESHAPE
    + here("Scale", "r", SCALE) + layer("sum", "Eltwise", "b,r", "a2"),
    "leaky relu that rises to the left": conv("data", "a") + here("ReLU", fields="relu_param { negative_slope: -0.5 }"),
}  # fmt: skip
REFUSED = {
    "a reader before": conv("data", "a")
    + conv("a", "b")
    + here("ReLU")
    + layer("sum", "Eltwise", "a,b", "a2"),
    "absolute values": conv("data", "a") + here("AbsVal"),
    "flatten in place": conv("data", "a") + here("Flatten"),
}
NETS = {"right": RIGHT, "wrong": WRONG, "refused": REFUSED}
CASES = [(verdict, name) for verdict, nets in NETS.items() for name in nets]


def text_of(verdict: str, name: str) -> str:
    body = NETS[verdict][name]
    last = next(blob for blob in ("a2", "f", "d", "a") if f'top: "{blob}"' in body)
    return INPUTS + body + LOSS.replace("BLOB", last)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in_place")
    for number, case in enumerate(CASES):
        (folder / f"{number}.prototxt").write_text(text_of(*case))
    return folder


@pytest.fixture(scope="module")
def verdicts(run_caffe: RunCaffe, folder: Path) -> dict[str, Any]:
    answers: dict[str, Any] = run_caffe(
        NUMERICAL_GRADIENTS, *(folder / f"{number}.prototxt" for number in range(len(CASES)))
    )
    return {Path(path).stem: verdict for path, verdict in answers.items()}


@pytest.mark.parametrize(("verdict", "name"), CASES)
def test_lint_and_caffe_agree(folder: Path, verdicts: dict[str, Any], verdict: str, name: str) -> None:
    number = CASES.index((verdict, name))
    assert verdicts[str(number)] == verdict, "this is what the gradients of real Caffe say"
    found = lint_file(folder / f"{number}.prototxt")
    errors = [finding for finding in found if finding.severity == "error"]
    assert bool(errors) == (verdict != "right"), json.dumps([finding.what for finding in errors])
    assert all(finding.rule.startswith(("in-place", "shapes", "flatten")) for finding in errors)
