"""Real pycaffe builds the same graphs, with a pydot that only notes what it is given."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from batchbrew.caffe import draw
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt
from tests.conftest import RunCaffe

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.prototxt"))

ORACLE = """
import json, sys, types

class Noted:
    def __init__(self, *values, **settings):
        self.values, self.settings, self.nodes, self.edges = values, settings, [], []
    def add_node(self, node):
        self.nodes.append(node)
    def add_edge(self, edge):
        self.edges.append(edge)

pydot = types.ModuleType("pydotplus")
pydot.Dot = pydot.Node = pydot.Edge = Noted
sys.modules["pydotplus"] = pydot
from caffe import draw
from caffe.proto import caffe_pb2
from google.protobuf import text_format
found = []
for path, rankdir, phase in json.loads(sys.argv[1]):
    net = caffe_pb2.NetParameter()
    text_format.Merge(open(path).read(), net)
    graph = draw.get_pydot_graph(net, rankdir, phase=phase, display_lrm=True)
    shown = lambda node: node.values[0].strip('"')
    found.append(dict(
        nodes=sorted([shown(node), node.settings.get("fillcolor", "#FFFFFF"), node.settings.get("shape", "ellipse")]
                     for node in graph.nodes),
        edges=sorted([shown(edge.values[0]), shown(edge.values[1]), edge.settings["label"].strip('"')]
                     for edge in graph.edges),
    ))
print(json.dumps(found))
"""


def branching() -> pb.NetParameter:
    """Blobs in place, two branches, an unread output, an edge over several ranks."""
    net = pb.NetParameter(name='a "b"')
    net.layer.add(name="in", type="Input", top=["data"])
    conv = net.layer.add(name="c|1", type="Convolution", bottom=["data"], top=["c<1>"])
    conv.convolution_param.num_output = 7
    conv.convolution_param.kernel_size.extend([3, 5])
    net.layer.add(name="relu", type="ReLU", bottom=["c<1>"], top=["c<1>"])
    net.layer.add(name="sum", type="Eltwise", bottom=["c<1>", "data"], top=["sum", "unread"])
    net.layer.add(name="loss", type="Foo", bottom=["sum"])
    return net


def test_graphs_are_those_of_pycaffe(run_caffe: RunCaffe) -> None:
    cases = [(path, rankdir, phase) for path in GOLDEN for rankdir, phase in (("LR", 0), ("TB", 1))
             if not {"solver", "nvcaffe"} & {*path.name.replace("_", ".").split(".")}]  # fmt: skip
    assert len(cases) >= 10
    real = run_caffe(ORACLE, json.dumps([(str(path), *rest) for path, *rest in cases]))
    for (path, rankdir, phase), expected in zip(cases, real, strict=True):
        net = read_prototxt(path, pb.NetParameter)
        graph = draw.get_pydot_graph(net, rankdir, phase=phase, display_lrm=True)
        separator = " " if rankdir == "TB" else "\\n"
        shown = {key: separator.join(node.lines) for key, node in graph.nodes.items()}
        nodes = [[shown[key], node.fillcolor, node.shape] for key, node in graph.nodes.items()]
        edges = [[shown[edge.src], shown[edge.dst], edge.label] for edge in graph.edges]
        assert sorted(nodes) == expected["nodes"], path
        assert sorted(edges) == expected["edges"], path


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
def test_pictures_without_graphviz(rankdir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    data = draw.draw_net(branching(), rankdir)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    height, width = picture.shape[:2]
    assert (width > height) == (rankdir in ("LR", "RL"))
    for red, green, blue in ((0xFF, 0x50, 0x50), (0x90, 0xEE, 0x90), (0x64, 0x95, 0xED), (0xE0, 0xE0, 0xE0)):
        assert (picture == (blue, green, red)).all(2).sum() > 300
    # the convolution comes early, and nothing is cut off at the edges
    middle = np.argwhere((picture == (0x50, 0x50, 0xFF)).all(2)).mean(0) / (height, width)
    along = middle[1] if rankdir in ("LR", "RL") else middle[0]
    assert along < 0.5 if rankdir in ("LR", "TB") else along > 0.5
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()


def test_text_is_escaped() -> None:
    text = draw.draw_net(branching(), "LR", "dot").decode()
    assert text.startswith('digraph "a \\"b\\"" {\nrankdir=LR;\n')
    assert '[label="c\\|1\\n(Convolution)\\nkernel size: 3\\nstride: 1\\npad: 0", shape=record' in text
    assert '"c<1>_blob" [label="c\\<1\\>", shape=octagon' in text
    assert '"1: c|1_Convolution" -> "c<1>_blob" [label="7"];' in text
    assert text.count(" -> ") == 10


def test_svg_is_xml() -> None:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(draw.draw_net(branching(), "TB", "svg"))
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"c<1>", "in (Input)", "7", "sum"} <= texts


def test_files_are_drawn_by_their_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name in ("net.png", "net.jpg", "net.svg", "net.raw"):
        draw.draw_net_to_file(branching(), str(tmp_path / name), "TB")
        assert (tmp_path / name).stat().st_size > 500
    with pytest.raises(InputError, match=r"cannot be drawn as 'pdf' without Graphviz: install it"):
        draw.draw_net_to_file(branching(), tmp_path / "net.pdf")
    with pytest.raises(InputError, match="has no ending"):
        draw.draw_net_to_file(branching(), tmp_path / "net")
    assert len(list(tmp_path.iterdir())) == 4


def test_graphviz_draws_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\n[ "$1" = -Tfoo ] && { echo no foo >&2; exit 1; }\necho "$1"; head -c 7\n')
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    graph = draw.get_pydot_graph(branching(), "LR")
    assert graph.create(format="pdf") == graph.create_pdf() == b"-Tpdf\ndigraph"
    graph.write_pdf(tmp_path / "net.pdf")
    assert (tmp_path / "net.pdf").read_bytes() == b"-Tpdf\ndigraph"
    with pytest.raises(InputError, match="dot did not draw the graph as 'foo': no foo"):
        draw.draw_net(branching(), "LR", "foo")


def test_old_layers_and_empty_nets_are_drawn() -> None:
    old = pb.NetParameter()
    old.layers.add(name="c", type=pb.V1LayerParameter.CONVOLUTION, bottom=["data"], top=["c"])
    assert "(Convolution)" in draw.draw_net(old, "LR", "dot").decode()
    assert draw.draw_net(pb.NetParameter(), "LR", "svg").startswith(b"<svg")
    assert draw.draw_net(pb.NetParameter(), "LR", "png")[1:4] == b"PNG"


def test_long_nets_are_drawn_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    net = pb.NetParameter()
    for number in range(400):
        net.layer.add(name=f"l{number}", type="ReLU", bottom=[f"b{number}"], top=[f"b{number + 1}"])
    net.layer.add(name="far", type="Concat", bottom=["b0", "b100", "b400"], top=["out"])
    picture = cv2.imdecode(np.frombuffer(draw.draw_net(net, "LR"), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] <= 16_383


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: draw.draw_net(pb.NetParameter(), "XY"), "rankdir is one of LR, RL, TB, BT, not 'XY'"),
        (lambda: draw.get_layer_lr_mult(pb.LayerParameter(type="ReLU")), "ReLU layers do not have"),
        (
            lambda: draw.get_layer_lr_mult(
                pb.LayerParameter(name="c", type="Convolution", param=[pb.ParamSpec()] * 3)
            ),
            "layer c has 3 param",
        ),
        (
            lambda: draw.get_pydot_graph(
                pb.NetParameter(layer=[pb.LayerParameter(name="l", include=[{}], exclude=[{}])]),
                "LR",
                phase=0,
            ),
            "layer l has both include and exclude",
        ),
    ],
)
def test_what_cannot_be_drawn(call: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
