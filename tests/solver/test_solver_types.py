"""Every type of solver that a plan can ask for trains in real Caffe; what Caffe aborts at is refused."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.proto.text import format_prototxt
from batchbrew.solver.solver import Rates, TrainingPlan, build_solver
from batchbrew.solver.solver_types import NUMBERS, UpdateRule, takes_momentum
from tests.conftest import RunCaffe
from tests.solver.test_decay import PLAN

TWO_UPDATES = """
import json, sys
import caffe
answers = {}
for name, text in json.loads(sys.argv[2]).items():
    with open(sys.argv[1] + "/net.prototxt", "w") as file:
        file.write('''
            layer { name: "x" type: "DummyData" top: "x"
                    dummy_data_param { shape { dim: 1 dim: 1 } data_filler { value: 1 } } }
            layer { name: "loss" type: "InnerProduct" bottom: "x" top: "loss" loss_weight: 1
                    inner_product_param { num_output: 1 bias_term: false } }''')
    with open(sys.argv[1] + "/solver.prototxt", "w") as file:
        file.write(text + ' net: "%s/net.prototxt"' % sys.argv[1])
    solver = caffe.get_solver(sys.argv[1] + "/solver.prototxt")
    weights = []
    for _ in range(2):
        solver.step(1)
        weights.append(float(solver.net.params["loss"][0].data[0, 0]))
    answers[name] = weights
print(json.dumps(answers))
"""

RULES = {
    "SGD": UpdateRule(),
    "Nesterov": UpdateRule("Nesterov"),
    "AdaGrad": UpdateRule("AdaGrad"),
    "RMSProp": UpdateRule("RMSProp", rms_decay=0.75),
    "AdaDelta": UpdateRule("AdaDelta", delta=1),
    "Adam": UpdateRule("Adam", momentum2=0.99),
}

# By hand: the weight after one and after two updates of rate 0.1 with gradient 1, momentum 0.5 where there is one.
WEIGHTS = {
    "SGD": (-0.1, -0.25),
    "Nesterov": (-0.15, -0.325),  # (1 + 0.5) * 0.1; then V = 0.15, and 1.5 * 0.15 - 0.5 * 0.1 more
    "AdaGrad": (-0.1, -0.1 - 0.1 / 2**0.5),
    "RMSProp": (-0.1 / 0.25**0.5, -0.1 / 0.25**0.5 - 0.1 / 0.4375**0.5),
    # Running means of squares: of gradients 0.5, 0.75; of updates 0, then half of 1 / 1.5; delta 1 under each root.
    "AdaDelta": (-0.1 / 1.5**0.5, -0.1 / 1.5**0.5 - 0.1 * ((1 + 1 / 3) / 1.75) ** 0.5),
    "Adam": (-0.1, -0.2),  # both means are corrected for having begun at 0
}


def plan_of(rule: UpdateRule, momentum: float | None) -> TrainingPlan:
    return replace(PLAN, rule=rule, rates=Rates(base_lr=0.1, weight_decay=0, momentum=momentum))


def solver_text(rule: UpdateRule) -> str:
    plan = plan_of(rule, 0.5 if takes_momentum(rule.type) else None)
    solver = build_solver(replace(plan, epochs=None, iterations=10**6))  # no decay to speak of
    for field in ("net", "test_iter", "test_interval", "snapshot"):
        solver.ClearField(field)
    solver.snapshot_after_train = False
    return format_prototxt(solver)


def test_every_type_updates_in_real_caffe_as_worked_out_by_hand(tmp_path: Path, run_caffe: RunCaffe) -> None:
    assert RULES.keys() == NUMBERS.keys()
    texts = {name: solver_text(rule) for name, rule in RULES.items()}
    weights = run_caffe(TWO_UPDATES, tmp_path, json.dumps(texts))
    for name, expected in WEIGHTS.items():
        assert weights[name] == pytest.approx(expected, rel=1e-4), name


def test_caffe_ends_at_the_momentum_that_we_refuse(tmp_path: Path, caffe_python: Path) -> None:
    text = solver_text(RULES["AdaGrad"]) + "momentum: 0.5\n"
    done = subprocess.run(
        [caffe_python, "-c", TWO_UPDATES, tmp_path, json.dumps({"AdaGrad": text})],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Momentum cannot be used with AdaGrad" in done.stderr


@pytest.mark.parametrize(
    ("rule", "momentum", "message"),
    [
        (UpdateRule("AdaGrad"), 0.9, "solver type AdaGrad takes no momentum: leave it out; it is for SGD, Nesterov,"),
        (UpdateRule("RMSProp"), 0.9, "solver type RMSProp takes no momentum"),
        (UpdateRule("SGD", momentum2=0.9), 0.9, "SGD takes no momentum2: leave it out; it is for Adam"),
        (UpdateRule("Adam", rms_decay=0.9), 0.9, "Adam takes no rms_decay: leave it out; it is for RMSProp"),
        (UpdateRule("Nesterov", delta=1), 0.9, "takes no delta: leave it out; it is for AdaGrad, RMSProp,"),
        (UpdateRule("Adam", delta=0), 0.9, "delta must be more than 0, not 0"),
        (UpdateRule("Adam", momentum2=1), 0.9, "momentum2 must be at least 0 and less than 1, not 1"),
        (UpdateRule("RMSProp", rms_decay=1.5), None, "rms_decay must be at least 0 and less than 1, not 1.5"),
        (UpdateRule("Lion"), 0.9, "'Lion' is unknown: Caffe knows SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam"),
    ],
)  # fmt: skip
def test_a_number_that_is_not_of_the_type_is_refused(
    rule: UpdateRule, momentum: float | None, message: str
) -> None:
    with pytest.raises(InputError) as error:
        build_solver(plan_of(rule, momentum))
    assert message in str(error.value)
