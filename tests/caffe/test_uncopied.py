"""Nets and what they consist of are not copied: half of a copy would go on sharing memory."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchbrew import caffe
from batchbrew.caffe.uncopied import CopyError
from tests.caffe.layers.engines import make

NET = """layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }"""


@pytest.mark.parametrize("by", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused(tmp_path: Path, by: Callable[[Any], Any]) -> None:
    net = make(tmp_path, NET)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path / "net.prototxt"}" base_lr: 1 lr_policy: "fixed" snapshot_prefix: "{tmp_path}/s"'
    )
    (tmp_path / "net.prototxt").write_text(NET)
    solver = caffe.SGDSolver(tmp_path / "solver.prototxt")
    for thing in (net, net.blobs["x"], net.layers[1], solver):
        with pytest.raises(CopyError, match=rf"a {type(thing).__name__} cannot be copied.*blob\.data\.copy"):
            by(thing)
    with pytest.raises(RuntimeError, match="a Blob cannot be copied"):
        copy.deepcopy(net.params)
    assert net.blobs["x"].data.copy().tolist() == [[0]]
