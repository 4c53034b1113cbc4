"""Each shape of line of BVLC Caffe and NVCaffe, copied from their sources' formats, and broken ones."""

import math

import pytest

from batchbrew.training import log_lines as ll

PREFIX = "I1205 15:13:16.035574 15676 solver.cpp:404] "


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ("Iteration 0, loss = 0.828046", ll.TrainLoss(0, 0.828046)),
        (
            "Iteration 20 (2.42189 iter/s, 8.258s/20 iters), loss = 1.13542",
            ll.TrainLoss(20, 1.13542, 2.42189),
        ),
        ("Iteration 0 (-1.4e-25 iter/s, 5.7s/20 iters), loss = 9", ll.TrainLoss(0, 9.0, -1.4e-25)),
        ("Iteration 50 (2.25436 iter/s, 21.292s/48 iter), loss = 3.2223", ll.TrainLoss(50, 3.2223, 2.25436)),
        ("Iteration 2 (3.8928 s), loss = 5.08295", ll.TrainLoss(2, 5.08295)),
        (
            "Iteration 9 (2 iter/s, 5s/10 iter), loss = 3, remaining 3 hours and 5 minutes",
            ll.TrainLoss(9, 3.0, 2.0),
        ),
        ("[0] Iteration 9 (2 iter/s, 5s/10 iter), loss = 3, 4 iter/s avg", ll.TrainLoss(9, 3.0, 2.0)),
        ("[1] Iteration 9 (2 iter/s, 5s/10 iter), loss = 3, 4 iter/s avg", None),
        (
            "Iteration 1700, lr = 8.88916e-05, m = 0.9, wd = 0.0005, gs = 1",
            ll.LearningRate(1700, 8.88916e-05),
        ),
        ("Iteration 20, lr = 0.0966667", ll.LearningRate(20, 0.0966667)),
        ("Iteration 100, Testing net (#1)", ll.Testing(100, 1)),
        ("Iteration 1000, Testing net", ll.Testing(1000, 0)),
        ("    Test net output #0: accuracy = 0.600099", ll.TestOutput(0, "accuracy", 0.600099)),
        (
            "    Test net output #1: loss3/loss = 1.7 (* 0.3 = 0.51 loss)",
            ll.TestOutput(1, "loss3/loss", 1.7, 0.3),
        ),
        ("    Train net output #0: loss = 2 (* 1 = 2 loss)", ll.TrainOutput(0, "loss", 2.0, 1.0)),
        ("Test score #1: 1.79222", ll.TestOutput(1, "score 1", 1.79222)),
        ("Test loss: 0.784506", None),
        ("Test interrupted.", None),
        (
            "Snapshotting to binary proto file a b/net_iter_1_iter_500.caffemodel",
            ll.Snapshot("a b/net_iter_1_iter_500.caffemodel", False, 500),
        ),
        ("Snapshotting to caffe_train_iter_200", ll.Snapshot("caffe_train_iter_200", False, 200)),
        ("Snapshotting to HDF5 file x_iter_4.caffemodel.h5", ll.Snapshot("x_iter_4.caffemodel.h5", False, 4)),
        ("Snapshotting solver state to x_iter_4.solverstate", ll.Snapshot("x_iter_4.solverstate", True, 4)),
        (
            "Snapshotting solver state to binary proto file x_iter_4.solverstate",
            ll.Snapshot("x_iter_4.solverstate", True, 4),
        ),
        ("Optimization Done.", ll.Done(False)),
        ("Optimization stopped early.", ll.Done(True)),
        (
            "Restoring previous solver status from x_iter_500.solverstate",
            ll.Resumed(500, "x_iter_500.solverstate"),
        ),
        ("Restoring previous solver status", ll.Resumed(None)),
        ("Resuming from snapshots/last.solverstate", ll.Resumed(None, "snapshots/last.solverstate")),
        ("Resuming from iteration 500 with seed 3", ll.Resumed(500, None, 3)),
        ("Restarting from iteration 500 with seed 3", ll.Resumed(500, None, 3)),
        ("Restarting data prefetching from start.", None),
        ("Diverged at iteration 740: loss = nan", ll.Diverged(740, "loss = nan")),
        ("Initializing solver from parameters: ", ll.SolverParameters()),
        ("Initializing net from parameters: ", None),
        ("Solving AlexNet", ll.Solving("AlexNet")),
        ("Solving ", ll.Solving("")),
        ("Learning Rate Policy: poly", None),
        ("MultiStep Status: Iteration 9, step = 1", None),
        ("Iteration: 1 forward-backward time: 3 ms.", None),
    ],
)
def test_a_line_of_each_shape(message: str, event: ll.LogEvent | None) -> None:
    assert ll.parse_line(PREFIX + message) == event
    assert ll.parse_line(PREFIX + message + "\r\n") == event


@pytest.mark.parametrize(
    "message",
    [
        "Iteration 140 (1.31441 it",
        "Iteration 140, lr = ",
        "Iteration 140, lr = 0.1x",
        "Iteration 140, loss = 1_000",
        "Iteration 99999999999999999999, loss = 1",
        "Iteration many, loss = 1",
        "Test net output #0: accuracy",
        "Test net output #0: accuracy = high",
        "Train net output #0: loss = 2 (* 1 = ",
        "Test score #1: ",
        "Snapshotting",
        "Restarting from iteration soon",
        "Resuming from iteration 5 with seed",
        "Diverged at last",
        "Optimization Do",
    ],
)
def test_what_only_looks_like_one_is_an_event_too(message: str) -> None:
    assert ll.parse_line(PREFIX + message) == ll.Unparsed(message.strip())


@pytest.mark.parametrize(
    "text",
    ["nan", "-nan", "NaN", "nan(ind)", "-nan(ind)", "nan(snan)", "1.#QNAN", "-1.#IND", "1.#SNAN", "1.#QNAN0"],
)
def test_every_spelling_of_not_a_number(text: str) -> None:
    event = ll.parse_message(f"Iteration 40, loss = {text}")
    assert isinstance(event, ll.TrainLoss) and math.isnan(event.loss)


@pytest.mark.parametrize(
    ("text", "value"),
    [("inf", math.inf), ("-inf", -math.inf), ("1.#INF", math.inf), ("-1.#INF", -math.inf), ("1e-05", 1e-5)],
)
def test_infinities_and_exponents(text: str, value: float) -> None:
    event = ll.parse_message(f"Test net output #0: loss = {text} (* 1 = {text} loss)")
    assert event == ll.TestOutput(0, "loss", value, 1.0)


def test_other_ranks_are_left_out() -> None:
    line = "I0427 11:07:09.608289   125 solver.cpp:375] Iteration 5, loss = 1"
    assert ll.parse_line("[0] " + line) == ll.TrainLoss(5, 1.0)
    assert ll.parse_line("[1] " + line) is None
