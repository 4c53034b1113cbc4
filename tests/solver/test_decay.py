"""Each policy as a plan asks for it: its numbers and its sentence, its curve in real Caffe, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import format_prototxt
from batchbrew.solver.decay import PARAMETERS, Decay
from batchbrew.solver.solver import Rates, TrainingPlan, build_solver, explain
from tests.conftest import RunCaffe
from tests.solver.test_schedule import RATES_OF_CAFFE

# Batches of 10 from 1,000 images, so an epoch is 100 iterations, and there are two.
PLAN = TrainingPlan(
    net="train_val.prototxt",
    snapshot_prefix="tiny",
    train_images=1000,
    val_images=100,
    batch_images=10,
    device_batch_images=10,
    val_batch_images=10,
    rates=Rates(base_lr=0.1, weight_decay=0, momentum=0),
    epochs=2,
    on_gpu=False,
)
DECAYS = {
    "poly": Decay(),
    "poly, power 2": Decay(power=2),
    "fixed": Decay("fixed"),
    "step": Decay("step", gamma=0.1, stepsize_iters=80),
    "step, in epochs": Decay("step", gamma=0.1, step_epochs=(0.8,)),
    "multistep": Decay("multistep", gamma=0.1, stepvalue_iters=(50, 150)),
    "multistep, in epochs": Decay("multistep", gamma=0.1, step_epochs=(0.5, 1.5)),
    "exp": Decay("exp", gamma=0.99),
    "inv": Decay("inv", gamma=0.01, power=0.5),
    "inv, rising": Decay("inv", gamma=0.01, power=-1),
    "sigmoid": Decay("sigmoid", gamma=0.05, step_epochs=(1,)),
}

# By hand: the rates after a quarter, at the half, and at three quarters of the 200 iterations.
INTERIOR = {
    "poly": (0.075, 0.05, 0.025),
    "poly, power 2": (0.05625, 0.025, 0.00625),
    "fixed": (0.1, 0.1, 0.1),
    "step": (0.1, 0.01, 0.01),
    "step, in epochs": (0.1, 0.01, 0.01),
    "multistep": (0.01, 0.01, 0.001),
    "multistep, in epochs": (0.01, 0.01, 0.001),
    "exp": (0.1 * 0.605006, 0.1 * 0.366032, 0.1 * 0.221451),  # 0.99 to the powers of 50, 100, 150
    "inv": (0.1 * 1.5**-0.5, 0.1 * 2**-0.5, 0.1 * 2.5**-0.5),
    "inv, rising": (0.15, 0.2, 0.25),
    "sigmoid": (0.1 * 0.0758582, 0.05, 0.1 * 0.9241418),  # 1 / (1 + e^2.5), 1/2, 1 / (1 + e^-2.5)
}


def solver_of(decay: Decay) -> pb.SolverParameter:
    return build_solver(replace(PLAN, decay=decay))


def test_every_policy_is_tried() -> None:
    assert {decay.policy for decay in DECAYS.values()} == set(PARAMETERS)
    assert INTERIOR.keys() == DECAYS.keys()


def test_real_caffe_trains_at_the_rates_worked_out_by_hand(tmp_path: Path, run_caffe: RunCaffe) -> None:
    texts = {}
    for name, decay in DECAYS.items():
        solver = solver_of(decay)
        for field in ("net", "snapshot_prefix", "solver_mode", "test_iter", "test_interval", "snapshot"):
            solver.ClearField(field)
        texts[name] = format_prototxt(solver)
    rates = run_caffe(RATES_OF_CAFFE, tmp_path, json.dumps(texts), 200, "[]")
    for name, (quarter, half, three_quarters) in INTERIOR.items():
        assert rates[name][50] == pytest.approx(quarter, rel=1e-5), name
        assert rates[name][100] == pytest.approx(half, rel=1e-5), name
        assert rates[name][150] == pytest.approx(three_quarters, rel=1e-5), name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("poly", "from 0.1 linearly to 0"),
        ("poly, power 2", "0.1 x (1 - iteration / 200)^2: 0.025 half-way, then to 0"),
        ("fixed", "0.1 throughout"),
        ("step", "from 0.1, times 0.1 every 80 iterations: 0.001 at the end"),
        ("step, in epochs", "from 0.1, times 0.1 every 80 iterations (0.8 epochs): 0.001 at the end"),
        ("multistep", "from 0.1, times 0.1 at 50 and 150: 0.001 at the end"),
        ("multistep, in epochs", "from 0.1, times 0.1 at 50 and 150 (0.5 and 1.5 epochs): 0.001 at the end"),
        ("exp", "0.1 x 0.99^iteration: 0.0366 half-way, 0.01353 at the end"),
        ("inv", "0.1 x (1 + 0.01 x iteration)^-0.5: 0.07071 half-way, 0.05783 at the end"),
        ("inv, rising", "0.1 x (1 + 0.01 x iteration)^1: 0.2 half-way, 0.299 at the end"),
        (
            "sigmoid",
            "0.1 / (1 + exp(-0.05 x (iteration - 100))), rising (1 epoch): 0.05 half-way, 0.0993 at the end",
        ),
    ],
)
def test_each_policy_in_words(name: str, sentence: str) -> None:
    plan = replace(PLAN, decay=DECAYS[name])
    assert explain(plan, build_solver(plan))[2] == f"Learning rate: {sentence}."


def test_steps_in_epochs_are_rounded_as_the_duration_is() -> None:
    """30 epochs of ILSVRC12 are 150,136.8 iterations, 64 are 320,291.75."""
    plan = replace(PLAN, train_images=1_281_167, batch_images=256, device_batch_images=16, epochs=64)
    solver = build_solver(replace(plan, decay=Decay("multistep", gamma=0.1, step_epochs=(30, 60))))
    assert (solver.max_iter, list(solver.stepvalue)) == (320_000, [150_000, 300_000])
    solver = build_solver(replace(plan, decay=Decay("step", gamma=0.1, step_epochs=(30,))))
    assert (solver.stepsize, list(solver.stepvalue)) == (150_000, [])


@pytest.mark.parametrize(
    ("decay", "message"),
    [
        (Decay("cosine"), "lr_policy 'cosine' is unknown: Caffe knows exp, fixed, inv, multistep, poly, sigmoid, step"),
        (Decay(gamma=0.1), '"poly" takes no gamma: leave it out; it is for step, multistep, exp, inv, sigmoid'),
        (Decay("step", gamma=0.1, stepsize_iters=9, power=1), 'takes no power: leave it out; it is for poly, inv'),
        (Decay(stepsize_iters=9), '"poly" takes no stepsize: leave it out; it is for step, sigmoid'),
        (Decay("step", gamma=0.1, stepvalue_iters=(9,)), '"step" takes no stepvalue: leave it out'),
        (Decay("fixed", step_epochs=(1,)), '"fixed" takes no steps: leave them out; they are for step,'),
        (Decay("step", gamma=0.1, stepsize_iters=9, step_epochs=(1,)), "stepsize and step_epochs say the same"),
        (Decay("step", gamma=0.1, step_epochs=(0.5, 1)), '"step" takes one step, not 2: multistep takes several'),
        (Decay("step", gamma=0.1), '"step" needs stepsize, in iterations, or step_epochs'),
        (Decay("multistep", gamma=0.1), '"multistep" needs stepvalue, in iterations, or step_epochs'),
        (Decay("step", stepsize_iters=9), 'lr_policy "step" needs gamma'),
        (Decay("exp"), 'lr_policy "exp" needs gamma'),
        (Decay("inv", gamma=0.1), 'lr_policy "inv" needs power'),
        (Decay("exp", gamma=0), "gamma must be more than 0, not 0"),
        (Decay("exp", gamma=float("nan")), "gamma must be more than 0, not nan"),
        (Decay(power=float("inf")), "power must be a number, not inf"),
        (Decay(power=-1), 'power of lr_policy "poly" must be more than 0, not -1: else nothing decays'),
        (Decay("step", gamma=0.1, stepsize_iters=0), "stepsize must be from 1 to 2,147,483,647, not 0"),
        (Decay("step", gamma=0.1, stepsize_iters=2**31), "stepsize must be from 1 to 2,147,483,647, not"),
        (Decay("step", gamma=0.1, step_epochs=(-1,)), "step_epochs must be more than 0, not -1"),
        (Decay("multistep", gamma=0.1, stepvalue_iters=(50, 50)), "later than the one before: 50 follows 50"),
        (Decay("multistep", gamma=0.1, step_epochs=(1, 0.5)), "later than the one before: 50 follows 100"),
        (Decay("multistep", gamma=0.1, stepvalue_iters=(50, 200)),
         "stepvalue 200 is never reached: training ends after 200 iterations"),
        (Decay("step", gamma=0.1, step_epochs=(2,)), "stepsize 200 is never reached"),
        (Decay("exp", gamma=2), '"exp" brings the learning rate to inf by iteration 199: choose another gamma'),
    ],
)  # fmt: skip
def test_contradictions_and_wrong_numbers_are_refused(decay: Decay, message: str) -> None:
    with pytest.raises(InputError) as error:
        solver_of(decay)
    assert message in str(error.value)
