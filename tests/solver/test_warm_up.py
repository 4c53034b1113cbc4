"""The warm-up of docs/solvers.md: a first solver whose rate rises, a second one that goes on from its snapshot."""

from dataclasses import replace
from pathlib import Path

import pytest

from batchbrew.proto.text import write_prototxt
from batchbrew.solver.decay import Decay
from batchbrew.solver.solver import build_solver
from tests.conftest import RunCaffe
from tests.solver.test_decay import PLAN

WARM_UP_ITERS, ITERS = 20, 100

BOTH_SOLVERS = """
import json, sys
import caffe
folder = sys.argv[1]
with open(folder + "/net.prototxt", "w") as file:
    # The gradient is 1, so that a step without momentum is the learning rate.
    file.write('''
        layer { name: "x" type: "DummyData" top: "x"
                dummy_data_param { shape { dim: 1 dim: 1 } data_filler { value: 1 } } }
        layer { name: "loss" type: "InnerProduct" bottom: "x" top: "loss" loss_weight: 1
                inner_product_param { num_output: 1 bias_term: false } }''')
weight = lambda solver: float(solver.net.params["loss"][0].data[0, 0])
def rates(solver, steps):
    weights = [weight(solver)]
    for _ in range(steps):
        solver.step(1)
        weights.append(weight(solver))
    return [before - after for before, after in zip(weights, weights[1:])]
first = caffe.get_solver(folder + "/first.prototxt")
rising = rates(first, int(sys.argv[2]))
first.snapshot()
second = caffe.get_solver(folder + "/second.prototxt")
second.restore(folder + "/first_iter_%s.solverstate" % sys.argv[2])
begins = {"iter": second.iter, "weight": weight(second)}
falling = rates(second, int(sys.argv[3]) - second.iter)
print(json.dumps({"rising": rising, "left": weight(first), "begins": begins, "falling": falling}))
"""


def write_solver(path: Path, decay: Decay, base_lr: float, iterations: int) -> None:
    rates = replace(PLAN.rates, base_lr=base_lr)
    solver = build_solver(replace(PLAN, decay=decay, rates=rates, epochs=None, iterations=iterations))
    solver.net = str(path.parent / "net.prototxt")
    solver.snapshot_prefix = str(path.parent / path.stem)
    for field in ("test_iter", "test_interval", "snapshot"):
        solver.ClearField(field)
    write_prototxt(path, solver)


def test_the_second_solver_goes_on_where_the_first_ended(tmp_path: Path, run_caffe: RunCaffe) -> None:
    # From 0.01 to 0.1 in 20 iterations: 0.01 x (1 + 0.45 x iteration).
    write_solver(tmp_path / "first.prototxt", Decay("inv", gamma=0.45, power=-1), 0.01, WARM_UP_ITERS)
    write_solver(tmp_path / "second.prototxt", Decay(), 0.1, ITERS)
    seen = run_caffe(BOTH_SOLVERS, tmp_path, WARM_UP_ITERS, ITERS)
    assert seen["rising"][0] == pytest.approx(0.01, rel=1e-4)
    assert seen["rising"][10] == pytest.approx(0.055, rel=1e-4)
    assert seen["rising"][19] == pytest.approx(0.0955, rel=1e-4)
    assert seen["begins"] == {"iter": WARM_UP_ITERS, "weight": seen["left"]}
    # Not from 0.1 again: a line from 0.1 at iteration 0 to 0 at iteration 100, of which the first fifth is left out.
    assert len(seen["falling"]) == ITERS - WARM_UP_ITERS
    assert seen["falling"][0] == pytest.approx(0.08, rel=1e-4)
    assert seen["falling"][30] == pytest.approx(0.05, rel=1e-4)
