"""Which layers of the nets of these tests are computed at once."""

from pathlib import Path

import pytest

from batchbrew import caffe
from tests.caffe.fusing.chains import BIAS, EXAMPLES, again, chain, layer, units
from tests.caffe.fusing.test_data import NETS as OF_DATA
from tests.caffe.fusing.test_normalised import CHAINS, OTHERS, net

ALL = ["norm", "scale", "relu"]
CHAIN, DATA = "NormalisedChain", "DataConvolution"
BEHIND = [(CHAIN, ["norm2", "scale2", "relu2"])]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("forced", [ALL]),
        ("global statistics", [ALL]),
        ("frozen scale", [ALL]),
        ("frozen below", [ALL]),
        ("all frozen", [ALL]),
        ("weighted top", [ALL]),
        ("weighted blob between", [["norm"]]),
        ("two weights", [["norm", "scale"]]),
        ("negative slope", [["norm", "scale"]]),
        ("axis 0", [["norm"]]),
        ("axis 1 from behind", [["norm"]]),
        ("axes 1 and 2", [["norm"]]),
        ("one factor", [["norm"]]),
        ("no shifts", [ALL]),
        ("two bottoms", [["norm"]]),
        ("factors of an input", [["norm"]]),
        ("two readers", [ALL]),
        ("readers between", [["norm", "scale"]]),
        ("one behind another", [ALL, ["norm2", "scale2", "relu2"]]),
        ("relu again", [ALL]),
        ("sigmoid in place behind", [["norm", "scale"]]),
        ("dropout at test in place behind", [ALL]),
        ("no gradient to the norm", [ALL]),
        ("no gradient to the scale", [ALL]),
        ("no gradient below", [ALL]),
        ("of the data, in place", [ALL]),
        ("five axes", []),
        ("three axes", []),
    ],
)
def test_chains(name: str, expected: list[list[str]], tmp_path: Path) -> None:
    assert units(OTHERS[name], tmp_path) == [(CHAIN, names) for names in expected]


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_all_kinds_at_all_places(phase: int, tmp_path: Path) -> None:
    names = {"b": ["norm"], "bs": ["norm", "scale"], "br": ["norm", "relu"], "bsr": ALL}
    for name in CHAINS:
        kinds = name.partition(" ")[0]
        if kinds in names:
            assert units(EXAMPLES[name].net, tmp_path, phase) == [(CHAIN, names[kinds])], name


@pytest.mark.parametrize("name", [name for name in OF_DATA if name.startswith("window")])
def test_convolutions_of_the_data(name: str, tmp_path: Path) -> None:
    of_groups = [(CHAIN, ["norm", "scale"])]
    whole = [(DATA, ["norm", "scale", "first"])]
    assert units(OF_DATA[name], tmp_path) == (of_groups if "groups" in name else whole)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("statistics ask for a gradient", [(DATA, ["norm", "scale", "first"])]),
        ("frozen scale", [(DATA, ["norm", "scale", "first"])]),
        ("frozen convolution", [(DATA, ["norm", "scale", "first"])]),
        ("no scale", [(DATA, ["norm", "first"])]),
        ("forced", [(CHAIN, ["norm", "scale"])]),
        ("rectified", [(CHAIN, ALL)]),
        ("two convolutions", [(CHAIN, ["norm", "scale"])]),
        ("a convolution of two", [(CHAIN, ["norm", "scale"])]),
        ("a chain behind", [(DATA, ["norm", "scale", "first"]), *BEHIND]),
        ("transposed", [(CHAIN, ["norm", "scale"])]),
    ],
)
def test_what_of_the_data_is_one_unit(
    name: str, expected: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    assert units(OF_DATA[name], tmp_path) == expected


def test_layers_between_part_a_chain(tmp_path: Path) -> None:
    text = net(
        chain("a", "b", "b") + layer("Dropout", "d", "b", "b") + layer("Scale", "scale", "b", "z", BIAS)
    )
    assert units(text, tmp_path) == [(CHAIN, ["norm"])]
    text = net(chain("a", "b", "b") + again(chain("a", "q", "b")) + layer("Scale", "scale", "b", "z", BIAS))
    assert units(text, tmp_path) == [(CHAIN, ["norm"]), (CHAIN, ["norm2"])]


def test_who_looks_on_sees_every_layer(tmp_path: Path) -> None:
    for number, text in enumerate((OTHERS["forced"], OF_DATA["statistics ask for a gradient"])):
        path = tmp_path / f"{number}.prototxt"
        path.write_text(text)
        watched = caffe.Net(path, caffe.TRAIN)
        seen: dict[str, list[int]] = {}
        for moment in ("before_forward", "after_forward", "before_backward", "after_backward"):
            getattr(watched, moment)(seen.setdefault(moment, []).append)
        watched.forward()
        watched.backward()
        layers = list(range(len(watched.layers)))
        assert seen["before_forward"] == seen["after_forward"] == layers
        assert seen["before_backward"] == seen["after_backward"] == layers[::-1]
