"""Training that lets go of blobs learns what training does that keeps them."""

from pathlib import Path

import numpy as np
import pytest

from batchbrew import caffe

NET = """
layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 } data_filler { type: "gaussian" } data_filler { type: "constant" } } }
layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
MORE
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" top: "loss" }
"""


@pytest.mark.parametrize(
    "more",
    [
        'layer { name: "a" type: "Accuracy" bottom: "ip" bottom: "l" top: "a" }',
        'layer { name: "p" type: "Power" bottom: "ip" top: "p" } layer { name: "s" type: "Silence" bottom: "p" }',
        'layer { name: "p" type: "Power" bottom: "ip" top: "p" }',
        # a loss that another layer reads: its weight is a gradient that no layer writes
        'layer { name: "r" type: "Reduction" bottom: "ip" top: "r" loss_weight: 0.5 '
        '  reduction_param { operation: SUMSQ } } layer { name: "p" type: "Power" bottom: "r" top: "p" }',
    ],
)
def test_gradients_that_nobody_writes_are_not_let_go_of(tmp_path: Path, more: str) -> None:
    (tmp_path / "net").write_text(NET.replace("MORE", more))
    (tmp_path / "solver").write_text(
        f'net: "{tmp_path}/net" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 3 display: 0 random_seed: 3 '
        f'snapshot_prefix: "{tmp_path}/s"'
    )
    weights = []
    for keep in (True, False):
        solver = caffe.get_solver(tmp_path / "solver")
        solver.keep_blobs = keep
        solver.step(3)
        weights.append(solver.net.params["ip"][0].data.copy())
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0]).max() > 0
