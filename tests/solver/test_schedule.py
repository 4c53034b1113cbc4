"""The learning rate by hand, and at many iterations against real Caffe."""

import json
import math
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.schedule import learning_rate, steps_reached
from tests.conftest import RunCaffe

POLICIES = {
    "fixed": pb.SolverParameter(lr_policy="fixed", base_lr=0.03),
    "step": pb.SolverParameter(lr_policy="step", base_lr=0.1, gamma=0.1, stepsize=7),
    "exp": pb.SolverParameter(lr_policy="exp", base_lr=0.1, gamma=0.9995),
    "inv": pb.SolverParameter(lr_policy="inv", base_lr=0.01, gamma=0.0001, power=0.75),
    "multistep": pb.SolverParameter(
        lr_policy="multistep", base_lr=0.1, gamma=0.3, stepvalue=[4, 9, 9, 8, 20]
    ),
    "multistep from 0": pb.SolverParameter(lr_policy="multistep", base_lr=0.1, gamma=0.5, stepvalue=[0, 3]),
    "poly": pb.SolverParameter(lr_policy="poly", base_lr=0.1, power=1, max_iter=320000),
    "poly, power 2": pb.SolverParameter(lr_policy="poly", base_lr=0.05, power=2, max_iter=30),
    "poly, root": pb.SolverParameter(lr_policy="poly", base_lr=0.05, power=0.5, max_iter=30),
    "sigmoid": pb.SolverParameter(lr_policy="sigmoid", base_lr=0.1, gamma=0.5, stepsize=15),
    "sigmoid, slow": pb.SolverParameter(lr_policy="sigmoid", base_lr=0.1, gamma=0.001, stepsize=1000),
}
STEPPED = range(40)
RESTORED = [1_000, 12_345, 160_000, 319_000, 319_999, 320_000]

RATES_OF_CAFFE = """
import json, sys
import caffe
from caffe.proto import caffe_pb2
folder, policies, stepped, restored = sys.argv[1], *map(json.loads, sys.argv[2:])
with open(folder + "/net.prototxt", "w") as file:
    # Loss and weight fall by the learning rate in each step: the gradient is 1.
    file.write('''
        layer { name: "x" type: "DummyData" top: "x"
                dummy_data_param { shape { dim: 1 dim: 1 } data_filler { value: 1 } } }
        layer { name: "loss" type: "InnerProduct" bottom: "x" top: "loss" loss_weight: 1
                inner_product_param { num_output: 1 bias_term: false } }''')
answers = {}
for name, text in policies.items():
    with open(folder + "/solver.prototxt", "w") as file:
        file.write(text + ' solver_mode: CPU net: "%s/net.prototxt" ' % folder)
        file.write('snapshot_prefix: "%s/s"' % folder)
    solver = caffe.SGDSolver(folder + "/solver.prototxt")
    rates = []
    for _ in range(stepped):
        # Not solver.lr: to ask for it counts one more of multistep's stepvalues.
        weight = solver.net.params["loss"][0].data
        weight[...] = 0
        solver.step(1)
        rates.append(-float(weight[0, 0]))
    solver.snapshot()
    with open(folder + "/s_iter_%d.solverstate" % stepped, "rb") as file:
        state = caffe_pb2.SolverState.FromString(file.read())
    for iteration in restored:
        state.iter = iteration
        with open(folder + "/restored", "wb") as file:
            file.write(state.SerializeToString())
        solver.restore(folder + "/restored")
        rates.append(solver.lr)
    answers[name] = rates
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def rates_of_caffe(run_caffe: RunCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    folder: Path = tmp_path_factory.mktemp("solvers")
    texts = {name: str(solver) for name, solver in POLICIES.items()}
    answers: dict[str, list[float]] = run_caffe(
        RATES_OF_CAFFE, folder, json.dumps(texts), len(STEPPED), json.dumps(RESTORED)
    )
    return answers


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_has_the_rates_of_caffe(policy: str, rates_of_caffe: dict[str, list[float]]) -> None:
    ours = [learning_rate(POLICIES[policy], iteration) for iteration in [*STEPPED, *RESTORED]]
    assert ours == pytest.approx(rates_of_caffe[policy], rel=3e-7, abs=0, nan_ok=True)


@pytest.mark.parametrize(
    ("policy", "iteration", "rate"),
    [
        ("fixed", 5, 0.03),
        ("step", 6, 0.1),
        ("step", 7, 0.01),
        ("step", 20, 0.001),
        ("exp", 2, 0.1 * 0.9995 * 0.9995),
        ("inv", 10_000, 0.01 * 2**-0.75),
        ("multistep", 8, 0.03),
        (
            "multistep",
            9,
            0.009,
        ),  # the second of the two nines counts an iteration later, the eight after that
        ("multistep", 10, 0.0027),
        ("multistep", 11, 0.00081),
        ("multistep", 20, 0.000243),
        ("multistep from 0", 0, 0.05),
        ("poly", 80_000, 0.075),
        ("poly", 320_000, 0),
        ("poly, power 2", 15, 0.0125),
        ("sigmoid, slow", 1000, 0.05),
        ("sigmoid", 15, 0.05),
    ],
)
def test_rates_worked_out_by_hand(policy: str, iteration: int, rate: float) -> None:
    assert learning_rate(POLICIES[policy], iteration) == pytest.approx(rate, rel=1e-6)


def test_poly_near_its_end_has_the_rounding_of_caffe() -> None:
    """Real arithmetic gives 3.125e-7; this is what Caffe trains with."""
    assert learning_rate(POLICIES["poly"], 319_999) == pytest.approx(3.0994417e-7, rel=1e-6)


@pytest.mark.parametrize(("iteration", "steps"), [(3, 0), (4, 1), (8, 1), (9, 2), (10, 3), (11, 4), (20, 5)])
def test_steps_reached(iteration: int, steps: int) -> None:
    assert steps_reached(POLICIES["multistep"], iteration) == steps


@pytest.mark.parametrize(
    ("solver", "iteration", "rate"),
    [
        (pb.SolverParameter(lr_policy="poly", base_lr=1, power=0.5, max_iter=10), 11, math.nan),
        (pb.SolverParameter(lr_policy="poly", base_lr=1, power=1), 0, math.nan),
        (pb.SolverParameter(lr_policy="poly", base_lr=1, power=1), 1, -math.inf),
        (pb.SolverParameter(lr_policy="exp", base_lr=1, gamma=2), 5000, math.inf),
        (pb.SolverParameter(lr_policy="poly", base_lr=1, power=101, max_iter=1), 100_000, -math.inf),
        (pb.SolverParameter(lr_policy="exp", base_lr=1, gamma=2), 128, math.inf),  # too large for a C float
        (pb.SolverParameter(lr_policy="sigmoid", base_lr=1, gamma=1, stepsize=1000), 0, 0),
    ],
)
def test_outside_their_domain_policies_answer_as_ieee_arithmetic_does(
    solver: pb.SolverParameter, iteration: int, rate: float
) -> None:
    assert learning_rate(solver, iteration) == pytest.approx(rate, nan_ok=True)


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (
            pb.SolverParameter(lr_policy="cosine"),
            "lr_policy 'cosine' is unknown: Caffe knows exp, fixed, inv",
        ),
        (pb.SolverParameter(), "lr_policy '' is unknown"),
        (pb.SolverParameter(lr_policy="step", gamma=1), '"step" needs a stepsize of at least 1, not 0'),
        (pb.SolverParameter(lr_policy="sigmoid", gamma=1), '"sigmoid" needs a stepsize'),
        (pb.SolverParameter(lr_policy="exp", gamma=-2), '"exp" needs a gamma of at least 0, not -2'),
    ],
)
def test_what_caffe_aborts_at_is_refused(solver: pb.SolverParameter, message: str) -> None:
    with pytest.raises(InputError, match=message):
        learning_rate(solver, 0)
