"""Fillers: exact ones number by number, random ones by their moments and limits, both beside real Caffe's."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.fillers import FILLERS, fill
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

Array = NDArray[np.float32]
SIGMAS = 6
PROBE = """
import sys, json, tempfile, os, caffe, numpy
caffe.set_random_seed(7)
found = {}
for name, (text, shape) in json.load(open(sys.argv[1])).items():
    path = os.path.join(os.path.dirname(sys.argv[1]), "net.prototxt")
    dims = " ".join("dim: %d" % n for n in shape)
    with open(path, "w") as file:
        file.write('layer { name: "d" type: "DummyData" top: "t" dummy_data_param { shape { %s } data_filler { %s } } }'
                   % (dims, text))
    net = caffe.Net(path, caffe.TRAIN)
    net.forward()
    found[name] = net.blobs["t"].data.copy()
numpy.savez(sys.argv[2], **found)
"""


class Drawn(NamedTuple):
    """What is true of the numbers of a filler."""

    text: str
    shape: tuple[int, ...]
    mean: float
    deviation: float
    low: float = -np.inf
    high: float = np.inf


def even(text: str, shape: tuple[int, ...], low: float, high: float) -> Drawn:
    return Drawn(text, shape, (low + high) / 2, (high - low) / 12**0.5, low, high)


def xavier(norm: str, shape: tuple[int, ...], fan: float) -> Drawn:
    return even(f'type: "xavier" variance_norm: {norm}', shape, -((3 / fan) ** 0.5), (3 / fan) ** 0.5)


def msra(norm: str, shape: tuple[int, ...], fan: float) -> Drawn:
    return Drawn(f'type: "msra" variance_norm: {norm}', shape, 0, (2 / fan) ** 0.5)


# 40 outputs of 20 channels of 5×5: 500 numbers go into one, 1,000 come out of one
WEIGHTS, MATRIX, VECTOR, VOLUME = (40, 20, 5, 5), (200, 100), (20000,), (20, 10, 4, 5, 5)
EXACT = {
    "constant": ('type: "constant" value: 0.1', (3, 2)),
    "nothing said": ("", (2,)),
    **{f"bilinear {size}": (f'type: "bilinear" value: {size}', (2, 3, size, size)) for size in range(1, 8)},
}
RANDOM = {
    "uniform": even('type: "uniform" min: -0.5 max: 2', WEIGHTS, -0.5, 2),
    "uniform, a single value": even('type: "uniform" min: 3 max: 3', WEIGHTS, 3, 3),
    "gaussian": Drawn('type: "gaussian" mean: 1.5 std: 0.2', WEIGHTS, 1.5, 0.2),
    # a tenth of the numbers is left
    "gaussian, sparse": Drawn('type: "gaussian" std: 3 sparse: 4', WEIGHTS, 0, 3 * 0.1**0.5),
    "gaussian, nothing left": Drawn('type: "gaussian" std: 3 sparse: 0', WEIGHTS, 0, 0),
    "xavier of weights": xavier("FAN_IN", WEIGHTS, 500),
    "xavier by outputs": xavier("FAN_OUT", WEIGHTS, 1000),
    "xavier by both": xavier("AVERAGE", WEIGHTS, 750),
    "xavier of a matrix": xavier("FAN_IN", MATRIX, 100),
    "xavier of a matrix by outputs": xavier("FAN_OUT", MATRIX, 200),
    "xavier of a vector": xavier("FAN_IN", VECTOR, 1),
    "xavier of a vector by outputs": xavier("FAN_OUT", VECTOR, 20000),
    "xavier of five axes by outputs": xavier("FAN_OUT", VOLUME, 2000),
    "msra of weights": msra("FAN_IN", WEIGHTS, 500),
    "msra by outputs": msra("FAN_OUT", WEIGHTS, 1000),
    "msra by both": msra("AVERAGE", MATRIX, 150),
    # of 500 even numbers, divided by their sum
    "positive_unitball": Drawn('type: "positive_unitball"', WEIGHTS, 1 / 500, 1 / 500 / 3**0.5, 0, 0.005),
}


@pytest.fixture(scope="module")
def theirs(caffe_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Array]:
    folder = tmp_path_factory.mktemp("fillers")
    cases = {**EXACT, **{name: (drawn.text, drawn.shape) for name, drawn in RANDOM.items()}}
    (folder / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [caffe_python, "-c", PROBE, folder / "cases.json", folder / "found.npz"],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "found.npz", allow_pickle=False) as found:
        return dict(found)


def ours(text: str, shape: tuple[int, ...]) -> Array:
    blob = Blob(*shape)
    fill(blob, parse_prototxt(text, pb.FillerParameter))
    return blob.data


@pytest.mark.parametrize("name", EXACT)
def test_exact_fillers(name: str, theirs: Mapping[str, Array]) -> None:
    np.testing.assert_allclose(ours(*EXACT[name]), theirs[name], rtol=1e-6, atol=1e-7)


def faults(numbers: Array, expected: Drawn) -> list[str]:
    values, count = numbers.astype(np.float64), numbers.size
    found = []
    slack = 1e-6 * (abs(expected.mean) + expected.deviation)
    if abs(values.mean() - expected.mean) > SIGMAS * expected.deviation / count**0.5 + slack:
        found.append(f"mean {values.mean()}, not {expected.mean}")
    # of a normal variable's square the deviation is the largest here but for the sparse one's
    kurtosis = 30 if "sparse" in expected.text else 3
    if (
        abs(values.std() - expected.deviation)
        > SIGMAS * expected.deviation * (kurtosis / 4 / count) ** 0.5 + slack
    ):
        found.append(f"deviation {values.std()}, not {expected.deviation}")
    if values.min() < expected.low - slack or values.max() > expected.high + slack:
        found.append(f"from {values.min()} to {values.max()}, not within {expected.low} and {expected.high}")
    return found


@pytest.mark.parametrize("name", RANDOM)
def test_random_fillers(name: str, theirs: Mapping[str, Array]) -> None:
    mode.set_random_seed(11)
    expected = RANDOM[name]
    assert theirs[name].shape == expected.shape
    assert faults(theirs[name], expected) == []
    assert faults(ours(expected.text, expected.shape), expected) == []


def test_normal_numbers_are_normal() -> None:
    """In one deviation 68.3% of them, in two 95.4%; even ones would be 57.7% and all."""
    for text in ('type: "gaussian" std: 2', 'type: "msra"'):
        numbers = ours(text, WEIGHTS)
        parts = [float((np.abs(numbers) < k * numbers.std()).mean()) for k in (1, 2)]
        assert parts == pytest.approx([0.683, 0.954], abs=0.02)


def test_rows_of_a_unit_ball(theirs: Mapping[str, Array]) -> None:
    for numbers in (ours('type: "positive_unitball"', WEIGHTS), theirs["positive_unitball"]):
        assert (numbers > 0).mean() > 0.999
        assert numbers.reshape(40, -1).sum(1) == pytest.approx(np.ones(40), rel=1e-5)


def test_sparse_leaves_so_many_a_row() -> None:
    left = ours('type: "gaussian" sparse: 4', WEIGHTS) != 0
    assert left.mean() == pytest.approx(0.1, abs=0.015)


def test_bilinear_by_hand() -> None:
    """Of four: quarters and three quarters, in both directions."""
    line = np.array([0.25, 0.75, 0.75, 0.25])
    assert ours('type: "bilinear"', (1, 2, 4, 4))[0, 1] == pytest.approx(np.outer(line, line))


def test_a_seed_repeats_them() -> None:
    def draw(seed: int) -> Array:
        mode.set_random_seed(seed)
        return ours('type: "gaussian"', (4, 5))

    assert (draw(5) == draw(5)).all() and (draw(5) != draw(6)).any()


REFUSED: dict[str, tuple[str, tuple[int, ...], str]] = {
    "unknown": ('type: "magic"', (2,), "has a filler of type 'magic'; there are bilinear, constant,"),
    "sparse": ('type: "xavier" sparse: 3', (2,), "xavier filler with sparse: only gaussian can be sparse"),
    "too many": ('type: "gaussian" sparse: 5', (4, 9), "sparse 5: it is 0 to 4"),
    "fewer than none": ('type: "gaussian" sparse: -2', (4, 9), "sparse -2: it is 0 to 4"),
    "no deviation": ('type: "gaussian" std: 0', (4,), "std 0: it must be more than 0"),
    "deviation that is none": ('type: "gaussian" std: nan', (4,), "std nan: it must be more than 0"),
    "upside down": ('type: "uniform" min: 1 max: -1', (4,), "from 1 to -1: min must not be more"),
    "no bound": ('type: "uniform" min: nan max: 1', (4,), "from nan to 1: min must not be more"),
    "too far": ('type: "uniform" min: -3e38 max: 3e38', (4,), "no float for how far"),
    "a line": ('type: "bilinear"', (3, 3), r"weights of shape \(3, 3\): they must have four axes"),
    "not square": ('type: "bilinear"', (1, 1, 3, 4), "be square"),
    "no rows": ('type: "xavier"', (), "xavier filler for a single number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_caffe_refuses_is_refused(name: str) -> None:
    text, shape, words = REFUSED[name]
    with pytest.raises(Refusal, match=words):
        ours(text, shape)


def test_there_are_caffes_and_no_others() -> None:
    names = {"constant", "gaussian", "positive_unitball", "uniform", "xavier", "msra", "bilinear"}
    assert set(FILLERS) == names
