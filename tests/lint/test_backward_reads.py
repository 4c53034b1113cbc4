"""The table of what backward passes read, against real Caffe, type by type."""

import json
from typing import Any

import pytest

from batchbrew.lint.backward_reads import KNOWN_TYPES, backward_reads
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt
from tests.conftest import RunCaffe
from tests.lint.backward_probe import PROBE

IMAGE, ROW, SEQUENCE = (2, 4, 5, 5), (4, 5), (3, 2, 4)
GAUSSIAN = 'weight_filler { type: "gaussian" std: 0.3 }'
FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"
CONVOLUTION = f"convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 {GAUSSIAN} }}"
SCALE = 'scale_param { filler { type: "gaussian" } }'

Case = tuple[str, tuple[tuple[int, ...], ...], tuple[str | int, ...], int]


def one(fields: str, shape: tuple[int, ...] = IMAGE, tops: int = 1) -> Case:
    return fields, (shape,), ("x",), tops


def two(fields: str, second: tuple[int, ...] = IMAGE) -> Case:
    return fields, (IMAGE, second), ("x", "x"), 1


def loss(fields: str, kind: str | int = 5, tops: int = 1, first: str = "x") -> Case:
    labels = (4,) if isinstance(kind, int) else ROW
    return fields, (ROW, labels), (first, kind), tops


def recurrent(kind: str, *shapes: tuple[int, ...], more: str = "") -> Case:
    fields = f'type: "{kind}" recurrent_param {{ num_output: 4 {GAUSSIAN} {more} }}'
    kinds, tops = ("ones", 1 + len(shapes)) if more else ("marks", 1)
    return fields, (SEQUENCE, SEQUENCE[:2], *shapes), ("x", kinds, *["x"] * len(shapes)), tops


CASES: dict[str, Case] = {
    "AbsVal": one('type: "AbsVal"'),
    "BNLL": one('type: "BNLL"'),
    "BatchNorm": one('type: "BatchNorm"'),
    "BatchNorm, global": one('type: "BatchNorm" batch_norm_param { use_global_stats: true }'),
    "Bias": one('type: "Bias"'),
    "Bias, two": two('type: "Bias"', (4,)),
    "Clip": one('type: "Clip" clip_param { min: -0.5 max: 0.5 }'),
    "Concat": two('type: "Concat"'),
    "Convolution": one(f'type: "Convolution" {CONVOLUTION}'),
    "Convolution, frozen": one(f'type: "Convolution" {FROZEN} {CONVOLUTION}'),
    "Crop": two('type: "Crop"', (2, 4, 3, 3)),
    "Deconvolution": one(f'type: "Deconvolution" {CONVOLUTION}'),
    "Dropout": one('type: "Dropout"'),
    "ELU": one('type: "ELU"'),
    "Eltwise": two('type: "Eltwise"'),
    "Eltwise, product": two('type: "Eltwise" eltwise_param { operation: PROD }'),
    "Eltwise, unstable": two('type: "Eltwise" eltwise_param { operation: PROD stable_prod_grad: false }'),
    "Eltwise, maximum": two('type: "Eltwise" eltwise_param { operation: MAX }'),
    "EuclideanLoss": loss('type: "EuclideanLoss"', "positive"),
    "Exp": one('type: "Exp"'),
    "Flatten": one('type: "Flatten"'),
    "Im2col": one('type: "Im2col" convolution_param { kernel_size: 3 }'),
    "InnerProduct": one(f'type: "InnerProduct" inner_product_param {{ num_output: 4 {GAUSSIAN} }}', (2, 4)),
    "LRN": one('type: "LRN"'),
    "LRN, within": one('type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL }'),
    "LSTM": recurrent("LSTM"),
    "LSTM, static": recurrent("LSTM", (2, 3)),
    "LSTM, exposed": recurrent("LSTM", (1, 2, 4), (1, 2, 4), more="expose_hidden: true"),
    "Log": one('type: "Log" log_param { shift: 5 }'),
    "MVN": one('type: "MVN"'),
    "MVN, mean": one('type: "MVN" mvn_param { normalize_variance: false }'),
    "PReLU": one('type: "PReLU"'),
    "PReLU, frozen": one('type: "PReLU" param { lr_mult: 0 }'),
    "Pooling": one('type: "Pooling" pooling_param { kernel_size: 3 stride: 2 }'),
    "Pooling, 1×1": one('type: "Pooling" pooling_param { kernel_size: 1 }'),
    "Pooling, mask": one('type: "Pooling" pooling_param { kernel_size: 3 stride: 2 }', tops=2),
    "Pooling, average": one('type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 }'),
    "Power": one('type: "Power" power_param { scale: 2 shift: 1 }'),
    "Power, 0": one('type: "Power" power_param { power: 0 }'),
    "Power, 2": one('type: "Power" power_param { power: 2 shift: 9 }'),
    "Power, 3": one('type: "Power" power_param { power: 3 shift: 9 }'),
    "RNN": recurrent("RNN"),
    "RNN, static": recurrent("RNN", (2, 3)),
    "RNN, exposed": recurrent("RNN", (1, 2, 4), more="expose_hidden: true"),
    "ReLU": one('type: "ReLU"'),
    "ReLU, leaky": one('type: "ReLU" relu_param { negative_slope: 0.1 }'),
    "ReLU, falling": one('type: "ReLU" relu_param { negative_slope: -0.5 }'),
    "Reduction": one('type: "Reduction" reduction_param { axis: 1 }'),
    "Reduction, mean": one('type: "Reduction" reduction_param { axis: 1 operation: MEAN }'),
    "Reduction, squares": one('type: "Reduction" reduction_param { axis: 1 operation: SUMSQ }'),
    "Reduction, absolute": one('type: "Reduction" reduction_param { axis: 1 operation: ASUM }'),
    "Reshape": one('type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }'),
    "SPP": one('type: "SPP" spp_param { pyramid_height: 2 }', (2, 4, 8, 8)),
    "Scale": one(f'type: "Scale" {SCALE}'),
    "Scale, frozen": one(f'type: "Scale" param {{ lr_mult: 0 }} {SCALE}'),
    "Scale, two": two('type: "Scale" scale_param { axis: 0 }', (2, 4)),
    "Sigmoid": one('type: "Sigmoid"'),
    "Slice": one('type: "Slice"', tops=2),
    "Softmax": one('type: "Softmax"'),
    "Split": one('type: "Split"', tops=2),
    "Swish": one('type: "Swish"'),
    "TanH": one('type: "TanH"'),
    "Tile": one('type: "Tile" tile_param { tiles: 2 }'),
    "SoftmaxWithLoss": loss('type: "SoftmaxWithLoss"'),
    "SigmoidCrossEntropyLoss": loss('type: "SigmoidCrossEntropyLoss"', "positive"),
}  # fmt: skip
NOT_MEASURED = {"ContrastiveLoss", "MultinomialLogisticLoss"}


def layer_of(case: Case) -> pb.LayerParameter:
    """As the prober builds it, out of place."""
    fields, shapes, _, tops = case
    blobs = [*(f'bottom: "x{n}"' for n in range(len(shapes))), *(f'top: "t{n}"' for n in range(tops))]
    net = parse_prototxt(f"layer {{ {fields} {' '.join(blobs)} }}", pb.NetParameter)
    layer: pb.LayerParameter = net.layer[0]
    return layer


@pytest.fixture(scope="module")
def measured(run_caffe: RunCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("probe") / "cases.json"
    path.write_text(json.dumps(CASES))
    answers: dict[str, Any] = run_caffe(PROBE, path)
    return answers


@pytest.mark.parametrize("name", CASES)
def test_what_a_backward_pass_reads(measured: dict[str, Any], name: str) -> None:
    reads = backward_reads(layer_of(CASES[name]))
    assert reads is not None
    assert (list(reads.bottoms), list(reads.tops)) == (measured[name]["bottoms"], measured[name]["tops"])


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case[3] == 1 and "Loss" not in name]
)
def test_what_a_layer_does_in_place(measured: dict[str, Any], name: str) -> None:
    """Where the shape does not fit, the process ends, or Caffe writes beside the blob: both are no use."""
    reads = backward_reads(layer_of(CASES[name]))
    assert reads is not None
    found = measured[name]["in_place"]
    if reads.in_place == "refused":
        assert found is None
    elif reads.in_place == "wrong_output":
        # a 3×3 Convolution on the CPU copies an image before it writes: only its weights' gradient is wrong
        assert found in (None, "wrong_output", "safe" if "frozen" in name else "wrong_gradient")
    else:
        assert found == reads.in_place


def test_every_type_of_the_table_is_measured() -> None:
    types = {layer_of(case).type for case in CASES.values()}
    assert set(KNOWN_TYPES) - types == NOT_MEASURED
