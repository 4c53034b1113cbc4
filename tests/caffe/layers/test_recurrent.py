"""LSTM and RNN: steps worked by hand, states carried over, gradients through time, and real Caffe."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

RANDOM = np.random.default_rng(11)
STATES, GATES = {"LSTM": 2, "RNN": 1}, {"LSTM": 4, "RNN": 1}


def drawn(*shape: int) -> Array:
    return np.asarray(RANDOM.standard_normal(shape) * 0.7, np.float32)


def parameters(kind: str, inputs: int, outputs: int, static: int = 0) -> dict[int, Array]:
    rows = GATES[kind] * outputs
    shapes: list[tuple[int, ...]] = [
        (rows, inputs),
        (rows,),
        *[(rows, static)] * (static > 0),
        (rows, outputs),
    ]
    if kind == "RNN":
        shapes += [(outputs, outputs), (outputs,)]
    return {index: drawn(*shape) for index, shape in enumerate(shapes)}


def recurrent(
    kind: str,
    marks: Sequence[ArrayLike],
    *,
    static: bool = False,
    exposed: bool = False,
    fields: str = "",
    seen: tuple[int, ...] = (3,),
) -> Case:
    """A pass for each of `marks` (T×N), three outputs."""
    passes: list[Pass] = []
    tops = ["y", "h", "c"][: 1 + exposed * STATES[kind]]
    for each in marks:
        steps, streams = np.shape(each)
        bottoms = [drawn(steps, streams, *seen), np.asarray(each, np.float32)]
        bottoms += [drawn(streams, 2, 2)] * static + [drawn(1, streams, 3) for _ in tops[1:]]
        diffs = {name: drawn(steps if name == "y" else 1, streams, 3) for name in tops}
        passes.append(
            Pass({f"x{index}": bottom for index, bottom in enumerate(bottoms)}, diffs, clear=len(passes) == 1)
        )
    case = layer_case(
        f'type: "{kind}" {fields} recurrent_param {{ num_output: 3 expose_hidden: {str(exposed).lower()} }}',
        *passes[0].data.values(), tops=tops, parameters=parameters(kind, int(np.prod(seen)), 3, 4 if static else 0),
    )  # fmt: skip
    return replace(case, passes=passes)


MARKS = [[[0, 1], [1, 1], [1, 0], [1, 1]]] * 3
FROZEN = "param { lr_mult: 0 } param { lr_mult: 1 } param { lr_mult: 0 }"
CASES: dict[str, dict[str, Any]] = {
    "carried over": {"marks": MARKS},
    "one step": {"marks": [[[0, 1]], [[1, 1]], [[0, 1]]]},
    "marks that are none": {"marks": [[[0.5, 2], [-1, 1]]] * 2},
    "static": {"marks": MARKS, "static": True},
    "exposed": {"marks": MARKS[:2], "exposed": True},
    "exposed and static": {"marks": MARKS[:2], "exposed": True, "static": True},
    "images": {"marks": MARKS[:2], "seen": (2, 1, 3)},
    # what is carried over is taken as it lies in memory
    "other numbers of streams": {"marks": [np.ones((2, streams)) for streams in (3, 1, 2, 5, 3)]},
    "frozen": {"marks": MARKS[:1], "fields": FROZEN},
}
AGREED = [
    example(f"{kind}, {name}", recurrent(kind, **case)) for kind in STATES for name, case in CASES.items()
]


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_an_rnn_by_hand(tmp_path: Path) -> None:
    """One number, two streams, two steps; the second stream begins anew at the second step."""
    case = layer_case(
        'type: "RNN" recurrent_param { num_output: 1 }', [[[1], [1]], [[2], [2]]], [[0, 0], [1, 0]],
        parameters={0: [[0.5]], 1: [0.25], 2: [[2]], 3: [[3]], 4: [-1]},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")["0|data|y"]
    first, begun = np.tanh(0.5 + 0.25), np.tanh(1 + 0.25)
    assert found[0].ravel() == pytest.approx([np.tanh(3 * first - 1)] * 2)
    assert found[1].ravel() == pytest.approx(
        [np.tanh(3 * np.tanh(1 + 0.25 + 2 * first) - 1), np.tanh(3 * begun - 1)]
    )


def test_an_lstm_by_hand(tmp_path: Path) -> None:
    """All gates are half open, by weights of 0, but the input's is tanh of it: c' = c/2 + tanh(x)/2."""
    case = layer_case(
        'type: "LSTM" recurrent_param { num_output: 1 }', [[[1]], [[2]], [[3]]], [[0], [1], [0]],
        parameters={0: [[0], [0], [0], [1]]},
    )  # fmt: skip
    cells = [np.tanh(1) / 2, np.tanh(1) / 4 + np.tanh(2) / 2, np.tanh(3) / 2]
    assert compute(case, tmp_path / "case")["0|data|y"].ravel() == pytest.approx(np.tanh(cells) / 2)


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_numerical_gradients_through_time(kind: str, tmp_path: Path) -> None:
    """Of an early input, of the static input, and of each parameter."""
    case = recurrent(kind, [MARKS[0]], static=True)
    net = build(case, tmp_path / "case")
    for name, array in case.passes[0].data.items():
        net.blobs[name].data[...] = array
    weights = case.passes[0].diffs["y"].astype(np.float64)
    state = net.layer_dict["tested"]
    names = ["x0", "x2", *range(len(net.params["tested"]))]
    blobs = [net.blobs[name] if isinstance(name, str) else net.params["tested"][name] for name in names]

    def loss() -> float:
        state._carried = [carried * 0 for carried in state._carried]  # type: ignore[attr-defined]
        net.forward()
        return float((net.blobs["y"].data * weights).sum())

    loss()
    net.blobs["y"].diff[...] = weights
    net.backward()
    gradients = [blob.diff.copy().ravel() for blob in blobs]
    for name, blob, gradient in zip(names, blobs, gradients, strict=True):
        at = int(np.abs(gradient).argmax())
        before, step = float(blob.data.ravel()[at]), 1e-2
        values = []
        for sign in (1, -1):
            blob.data.reshape(-1)[at] = before + sign * step
            values.append(loss())
        blob.data.reshape(-1)[at] = before
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(gradient[at], rel=0.02), name


def test_fillers(tmp_path: Path) -> None:
    fillers = 'weight_filler { type: "constant" value: 2 } bias_filler { type: "constant" value: 3 }'
    for kind, expected in (("LSTM", [2, 3, 2, 2]), ("RNN", [2, 3, 2, 2, 2, 3])):
        fields = f'type: "{kind}" recurrent_param {{ num_output: 2 {fillers} }}'
        case = layer_case(fields, drawn(1, 1, 1), drawn(1, 1), drawn(1, 1))
        assert [blob.data.flat[0] for blob in build(case, tmp_path / kind).params["tested"]] == expected


def test_the_number_of_steps_cannot_change(tmp_path: Path) -> None:
    net = build(recurrent("LSTM", MARKS[:1]), tmp_path / "case")
    net.blobs["x0"].reshape(3, 2, 3)
    net.blobs["x1"].reshape(3, 2)
    with pytest.raises(LayerError, match=r"layer tested \(LSTM\): was built for 4 steps, and cannot take 3"):
        net.reshape()


def test_marks_have_no_gradient(tmp_path: Path) -> None:
    fields = 'type: "RNN" propagate_down: false propagate_down: true loss_weight: 1 recurrent_param { num_output: 1 }'
    with pytest.raises(LayerError, match=r"layer tested \(RNN\): has no gradient for its marks"):
        compute(layer_case(fields, drawn(1, 2, 1), [[1, 1]], learned=1), tmp_path / "case")
