"""The solver of a plan: the paper's numbers, small data sets, and values that are refused."""

from dataclasses import replace

import pytest

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.solver import RESNET_RATES, VGG19_RATES, Rates, TrainingPlan, build_solver, explain

PAPER = TrainingPlan(
    net="models/r/train_val.prototxt",
    snapshot_prefix="models/r/resnet50",
    train_images=1_281_167,
    val_images=50_000,
    batch_images=256,
    device_batch_images=16,
    val_batch_images=10,
    rates=RESNET_RATES,
    epochs=64,
)


def test_the_papers_solver() -> None:
    assert build_solver(PAPER) == pb.SolverParameter(
        net="models/r/train_val.prototxt",
        type="SGD",
        test_iter=[5000],
        test_interval=5000,
        test_initialization=False,
        base_lr=0.1,
        lr_policy="poly",
        power=1,
        max_iter=320_000,
        iter_size=16,
        momentum=0.9,
        weight_decay=0.0001,
        display=20,
        snapshot=5000,
        snapshot_prefix="models/r/resnet50",
        random_seed=0,
        solver_mode=pb.SolverParameter.GPU,
    )


def test_a_small_data_set_is_tested_once_an_epoch() -> None:
    solver = build_solver(replace(PAPER, train_images=1000, val_images=99, batch_images=32, epochs=10))
    assert solver.max_iter == 313  # 312.5
    assert (solver.test_interval, solver.snapshot) == (32, 32)  # an epoch has 31.25
    assert list(solver.test_iter) == [10]
    assert solver.display == 15  # 20 lines in all


def test_a_run_of_less_than_an_epoch_is_tested_in_its_end() -> None:
    solver = build_solver(replace(PAPER, epochs=None, iterations=70))
    assert (solver.test_interval, solver.snapshot) == (70, 70)
    words = explain(PAPER, build_solver(replace(PAPER, epochs=None, iterations=1)))
    assert words[3].startswith("A test every iteration: ")


def test_many_small_epochs_are_tested_64_times() -> None:
    solver = build_solver(replace(PAPER, train_images=320, batch_images=32, epochs=None, iterations=6400))
    assert solver.test_interval == 100
    assert solver.max_iter == 6400


def test_what_is_given_is_kept() -> None:
    plan = replace(
        PAPER,
        rates=Rates(base_lr=0.01, weight_decay=0, momentum=0.5),
        test_interval_iters=7,
        snapshot_iters=0,
        display_iters=3,
        random_seed=-1,
        on_gpu=False,
    )
    solver = build_solver(plan)
    assert (solver.test_interval, solver.snapshot, solver.display) == (7, 0, 3)
    assert solver.base_lr == pytest.approx(0.01)
    assert (solver.momentum, solver.weight_decay) == (0.5, 0)
    assert solver.random_seed == -1
    assert solver.solver_mode == pb.SolverParameter.CPU


def test_the_arithmetic_in_words() -> None:
    assert explain(PAPER, build_solver(PAPER)) == [
        "Duration: 64 epochs x 1,281,167 images / 256 = 320,292, as a round number 320,000 iterations.",
        "An iteration: iter_size 16 x 16 images on the device = 256, for one update.",
        "Learning rate: from 0.1 linearly to 0.",
        "A test every 5,000 iterations: 5,000 batches of 10 for 50,000 images, each once.",
    ]
    plan = replace(PAPER, epochs=None, iterations=1000, train_images=512, val_images=95)
    words = explain(plan, build_solver(plan))
    assert words[0] == "Duration: 1,000 iterations x 256 / 512 images = 500 epochs."
    assert words[3] == "A test every 16 iterations: 10 batches of 10 for 95 images, 5 of them counted again."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": 0}, "images to train with must be from 1 to 2,147,483,647, not 0"),
        ({"val_images": -1}, "images to validate with"),
        ({"batch_images": 0}, "batch must be from 1"),
        ({"device_batch_images": 0}, "device batch must be"),
        ({"device_batch_images": 48}, "the nearest that divide it are 32 or 64"),
        ({"val_batch_images": 0}, "validation batch must be"),
        ({"epochs": 0.0}, "epochs must be more than 0, not 0"),
        ({"epochs": float("nan")}, "epochs must be more than 0, not nan"),
        ({"epochs": None, "iterations": 2**31}, "iterations must be from 1 to 2,147,483,647"),
        ({"test_interval_iters": 0}, "test interval must be from 1"),
        ({"snapshot_iters": -1}, "snapshot interval must be from 0"),
        ({"random_seed": -2}, "seed must be from -1"),
        ({"rates": Rates(0.0, 0.0)}, "base_lr must be more than 0, not 0"),
        ({"rates": Rates(0.1, -1.0)}, "weight decay must be at least 0, not -1"),
        ({"rates": Rates(0.1, 0.0, 1.0)}, "momentum must be at least 0 and less than 1, not 1"),
    ],
)
def test_a_value_out_of_range_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_solver(replace(PAPER, **change))  # type: ignore[arg-type]


def test_intervals_in_epochs_are_rounded_as_the_duration_is() -> None:
    """An epoch of the paper is 5,004.6 iterations."""
    plan = replace(PAPER, test_epochs=1, snapshot_epochs=0.5)
    solver = build_solver(plan)
    assert (solver.test_interval, solver.snapshot) == (5000, 2500)
    assert explain(plan, solver)[3].startswith("A test every 5,000 iterations (1 epoch): 5,000 batches of 10")
    for change in ({"test_epochs": 0.0}, {"test_epochs": 1, "snapshot_epochs": float("inf")}):
        with pytest.raises(InputError, match=r"(test|snapshot)_epochs must be more than 0, not (0|inf)"):
            build_solver(replace(PAPER, **change))  # type: ignore[arg-type]


def test_vgg19_is_released_after_60_epochs() -> None:
    solver = build_solver(replace(PAPER, rates=VGG19_RATES, epochs=60))  # 300,273.5 iterations
    assert (solver.max_iter, solver.test_interval, solver.snapshot, solver.iter_size) == (
        300_000,
        5000,
        5000,
        16,
    )
    assert solver.base_lr == pytest.approx(0.01)
