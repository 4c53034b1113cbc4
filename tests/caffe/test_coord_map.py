"""Real pycaffe maps the coordinates of the same nets."""

import json
import random
from typing import Any

import numpy as np
import pytest

from batchbrew.caffe import coord_map
from batchbrew.caffe.coord_map import (
    AxisMismatchException,
    CropError,
    DisconnectedError,
    UndefinedMapException,
    compose,
    coord_map_from_to,
    crop,
    inverse,
)
from batchbrew.caffe.net_spec import NetSpec
from batchbrew.caffe.net_spec import layers as L
from batchbrew.caffe.net_spec import params as P
from tests.conftest import RunCaffe

CASES = 150

ORACLE = """
import json, sys
import numpy as np
from caffe import layers as L, params as P, NetSpec
from caffe.coord_map import coord_map_from_to, crop
found = []
for text in json.load(open(sys.argv[1])):
    names = dict(L=L, P=P, NetSpec=NetSpec)
    exec(text, names)
    try:
        axis, scale, shift = coord_map_from_to(names["a"], names["b"])
        mapped = [axis, np.array(scale).tolist(), np.array(shift).tolist()]
    except Exception as error:
        found.append([type(error).__name__, None])
        continue
    try:
        layer = crop(names["a"], names["b"]).to_proto().layer[-1].crop_param
        found.append([mapped, [layer.axis, list(layer.offset)]])
    except Exception as error:
        found.append([mapped, type(error).__name__])
print(json.dumps(found))
"""


def random_net(chance: random.Random) -> str:
    """A trunk with two branches, `a` and `b`, of layers with windows and pointwise ones."""

    def branch(start: str, length: int) -> str:
        text = start
        for _ in range(length):
            kernel, stride = chance.randrange(1, 6), chance.choice([1, 1, 1, 2])
            windows = [
                f"kernel_size={kernel}, stride={stride}, pad={chance.randrange(kernel)}",
                f"kernel_size=[{kernel}, {kernel + 1}], stride={stride}, pad=[0, {chance.randrange(3)}]",
                f"convolution_param=dict(kernel_size={kernel}, dilation={stride}, stride=2)",
            ]
            text = chance.choice(
                [
                    f"L.Convolution({text}, {chance.choice(windows)})",
                    f"L.Pooling({text}, {windows[0]}, pool=P.Pooling.MAX)",
                    f"L.Deconvolution({text}, {windows[2]})",
                    f"L.ReLU({text}, in_place=True)",
                    f"L.Crop({text}, data, crop_param=dict(axis=2, offset=[{kernel}]))",
                    f"L.Eltwise({text}, {text})" if len(text) < 200 else text,
                    f"L.Im2col({text}, {windows[2]})",
                    f"L.Flatten({text})" if chance.random() < 0.1 else text,
                ]
            )
        return text

    trunk, left, right = chance.randrange(3), chance.choice([0, 0, 1, 3]), chance.randrange(1, 4)
    return "\n".join(
        [
            "data = L.Input()",
            f"trunk = {branch('data', trunk)}",
            f"a = {branch('trunk', left)}",
            f"b = {branch('trunk', right)}",
        ]
    )


def test_maps_and_crops_are_those_of_pycaffe(run_caffe: RunCaffe, tmp_path: Any) -> None:
    chance = random.Random(1)
    nets = [random_net(chance) for _ in range(CASES)]
    (tmp_path / "nets.json").write_text(json.dumps(nets))
    mapped, cropped = 0, 0
    for text, (real_map, real_crop) in zip(nets, run_caffe(ORACLE, tmp_path / "nets.json"), strict=True):
        names: dict[str, Any] = {"L": L, "P": P, "NetSpec": NetSpec}
        exec(text, names)
        a, b = names["a"], names["b"]
        if isinstance(real_map, str):
            kind = {"RuntimeError": DisconnectedError}.get(real_map) or getattr(coord_map, real_map)
            with pytest.raises(kind):
                coord_map_from_to(a, b)
            continue
        axis, scale, shift = coord_map_from_to(a, b)
        assert axis == real_map[0], text
        np.testing.assert_allclose(scale, real_map[1], rtol=1e-12, err_msg=text)
        np.testing.assert_allclose(shift, real_map[2], rtol=1e-12, atol=1e-12, err_msg=text)
        mapped += 1
        if (
            real_crop == "AttributeError"
        ):  # pycaffe's: it needs arrays, and crops and pointwise layers give none
            continue
        if isinstance(real_crop, str):
            assert real_crop == "AssertionError", text
            with pytest.raises(CropError):
                crop(a, b)
        else:
            layer = crop(a, b).to_proto().layer[-1].crop_param
            assert [layer.axis, list(layer.offset)] == real_crop, text
            cropped += 1
    assert mapped > CASES / 2
    assert cropped >= 5


def test_hand_worked_convolution() -> None:
    data = L.Input()
    conv = L.Convolution(data, kernel_size=5, stride=2, pad=1)
    axis, scale, shift = coord_map_from_to(conv, data)
    # output 0 is over input pixels -1 to 3, whose middle is 1; the next is 2 further
    assert (axis, scale.tolist(), shift.tolist()) == (1, [2], [1])
    assert [part.tolist() for part in inverse((1, scale, shift))[1:]] == [[0.5], [-0.5]]


def test_maps_follow_one_another() -> None:
    assert compose((1, 2, 3), (None, 5, 7)) == (1, 10, 17)
    assert compose((None, 1, 0), (2, 5, 7)) == (2, 5, 7)
    with pytest.raises(AxisMismatchException, match="axis 1 cannot follow one for axis 2"):
        compose((1, 1, 0), (2, 1, 0))


def test_many_ways_through_a_residual_net_are_walked_once() -> None:
    data = L.Input()
    top = data
    for _ in range(60):  # 2^60 ways
        top = L.Eltwise(L.Convolution(top, kernel_size=1), L.ReLU(top))
    axis, scale, shift = coord_map_from_to(top, data)
    assert (axis, np.asarray(scale).item(), np.asarray(shift).item()) == (1, 1, 0)


def test_what_cannot_be_cropped_says_why() -> None:
    data = L.Input()
    small = L.Convolution(data, kernel_size=3)
    with pytest.raises(CropError, match="negative offset"):
        crop(small, data)
    with pytest.raises(CropError, match="noninteger offset"):
        crop(data, L.Convolution(data, kernel_size=2))
    with pytest.raises(CropError, match="scale mismatch"):
        crop(data, L.Pooling(data, kernel_size=2, stride=2))
    with pytest.raises(CropError, match="only pointwise layers"):
        crop(L.ReLU(data), data)
    with pytest.raises(CropError, match=r"Convolution has kernel_h, kernel_w: .* legacy"):
        crop(data, L.Convolution(data, kernel_h=3, kernel_w=3))
    with pytest.raises(DisconnectedError, match="leads to both InnerProduct and Input"):
        crop(L.InnerProduct(data, num_output=3), L.Input())
    with pytest.raises(UndefinedMapException, match="Softmax layers"):
        coord_map.coord_map(L.Softmax(data).fn)
