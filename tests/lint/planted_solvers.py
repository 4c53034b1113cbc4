"""A planted mistake for each rule about solvers. NET is a net of Input layers, and READING one that reads 60 images."""

from tests.lint.planted import Planted
from tests.lint.planted_nets import INPUT, TEST, TRAIN, ZEROS, batch_norm, head, images, scale

NET_TEXT = INPUT + head()
FROZEN_TEXT = INPUT + batch_norm(ZEROS + "batch_norm_param { use_global_stats: true }") + scale() + head()
READING_TEXT = images(TRAIN, batch="8") + images(TEST, batch="20") + batch_norm() + scale() + head()

NET, FROZEN, READING = ('net: "net.prototxt"\n', 'net: "frozen.prototxt"\n', 'net: "reading.prototxt"\n')
RATE = "base_lr: 0.01\n"
POLY = 'lr_policy: "poly"\npower: 1\n'
ONE = "max_iter: 4\n"
SAVED = 'snapshot: 4\nsnapshot_prefix: "snapshots/x"\n'
MOMENTUM = "momentum: 0.9\n"
WIDE = READING.replace("reading", "wide")
CPU = "solver_mode: CPU\n"
REST = RATE + POLY + SAVED + MOMENTUM + CPU


def policy(fields: str) -> str:
    return NET + RATE + ONE + SAVED + MOMENTUM + CPU + fields


PLANTED = [
    Planted(
        "solver-net", "FAULT" + ONE + REST, "", NET, "no net is named", 1, aborts="must specify a train net",
    ),
    Planted(
        "solver-net", NET + "FAULT" + ONE + REST, 'train_net: "net.prototxt"\n', "", "net and train_net are given",
        2, aborts="must not contain more than one of these fields",
    ),
    Planted(
        "solver-net", 'net: "FAULT"\n' + ONE + REST, "none.prototxt", "net.prototxt",
        "none.prototxt does not exist, seen from {folder}", 1, aborts="File not found: none.prototxt",
    ),
    Planted(
        "solver-type", NET + ONE + REST + 'type: "FAULT"', "SGDM", "SGD", "type is 'SGDM'", 10,
        aborts="Unknown solver type: SGDM",
    ),
    Planted(
        "solver-type", NET + ONE + REST + 'type: "SGD"\nFAULT', "solver_type: ADAM", "",
        "type and solver_type are both given", 11, aborts="old solver_type field",
    ),
    Planted(
        "solver-type", NET + ONE + RATE + POLY + SAVED + CPU + "FAULTtype: \"AdaGrad\"", MOMENTUM, "",
        "momentum is 0.9, and AdaGrad takes none", 9, aborts="Momentum cannot be used with AdaGrad",
    ),
    Planted(
        "solver-type", NET + ONE + RATE + POLY + SAVED + CPU + 'type: "Adam"\nFAULT', "", MOMENTUM,
        "Adam without momentum", 9, "warning",
    ),
    Planted(
        "solver-type", NET + ONE + RATE + POLY + SAVED + CPU + "momentum: FAULT", "1.5", "0.9", "momentum is 1.5", 9,
    ),
    Planted(
        "weights-missing", FROZEN + ONE + REST + "# weights\nFAULT", 'weights: "none.caffemodel"', "",
        "none.caffemodel does not exist, seen from {folder}", 11, aborts="Couldn't open none.caffemodel",
    ),
    Planted("max-iter", NET + "FAULT" + REST, "", ONE, "max_iter is not given", 1),
    Planted("max-iter", NET + REST + "max_iter: FAULT", "0", "4", "max_iter is 0: nothing is trained", 9, "note"),
    Planted("max-iter", NET + ONE + REST + "iter_size: FAULT", "0", "1", "iter_size is 0", 10),
    Planted("base-lr", NET + ONE + POLY + SAVED + CPU + "FAULT", "", RATE, "base_lr is not given", 1),
    Planted("base-lr", NET + ONE + POLY + SAVED + CPU + "base_lr: FAULT", "0", "1", "base_lr is 0", 8),
    Planted(
        "lr-policy", policy("FAULT"), "", POLY, "lr_policy is not given", 1, aborts="Unknown learning rate policy: ",
        fix="one of exp, fixed, inv, multistep, poly, sigmoid, step",
    ),
    Planted(
        "lr-policy", policy('lr_policy: "FAULT"\npower: 1'), "plateau", "poly", "lr_policy is 'plateau'", 8,
        aborts="Unknown learning rate policy: plateau",
    ),
    Planted(
        "lr-policy", policy('lr_policy: "step"\ngamma: 0.1\nFAULT'), "", "stepsize: 2",
        'lr_policy "step" without stepsize', 8, aborts="stepsize() > 0",
    ),
    Planted(
        "lr-policy", policy('lr_policy: "step"\nstepsize: 2\nFAULT'), "", "gamma: 0.1",
        'lr_policy "step" without gamma: it is 0', 8,
    ),
    Planted(
        "lr-policy", policy('lr_policy: "multistep"\ngamma: 0.1\nFAULT'), "", "stepvalue: 2",
        'lr_policy "multistep" without stepvalue', 8,
    ),
    Planted(
        "lr-policy", policy('lr_policy: "poly"\nFAULT'), "", "power: 1", 'lr_policy "poly" without power: it is 0', 8
    ),
    Planted(
        "lr-policy", policy('lr_policy: "exp"\ngamma: FAULT'), "-1", "0.9", "gamma is -1", 9, aborts="gamma() >= 0",
    ),
    Planted(
        "decay-steps", policy('lr_policy: "step"\ngamma: 0.1\nstepsize: FAULT'), "4", "2",
        "the first step is at 4, and training ends at 4", 10, "warning",
    ),
    Planted(
        "decay-steps", policy('lr_policy: "multistep"\ngamma: 0.1\nstepvalue: 2\nstepvalue: FAULT'), "4", "3",
        "stepvalue 4 is never reached: training ends at 4", 10, "warning",
    ),
    Planted(
        "decay-steps", policy('lr_policy: "multistep"\ngamma: 0.1\nstepvalue: 2\nstepvalue: FAULT'), "1", "3",
        "stepvalue 1 follows 2", 10, "warning",
    ),
    Planted(
        "test-interval", NET + ONE + REST + "test_iter: 1\nFAULT", "", "test_interval: 4",
        "test_iter is given without test_interval", 10, aborts="test_interval() > 0",
    ),
    Planted(
        "test-interval", NET + ONE + REST + "test_interval: 4\nFAULT", "", "test_iter: 1",
        "test_interval is given without test_iter", 10, "warning",
    ),
    Planted(
        "test-interval", 'train_net: "net.prototxt"\ntest_net: "net.prototxt"\ntest_interval: 4\nFAULT' + ONE + REST,
        "", "test_iter: 1\n", "1 test_net, and 0 test_iter", 2,
        aborts="test_iter must be specified for each test network",
    ),
    Planted(
        "test-coverage", WIDE + ONE + REST + "test_interval: 4\ntest_iter: FAULT", "2", "3",
        "test_iter 2 × batch_size 20 = 40 images, and good_lmdb has 60", 11, "warning", fix="test_iter: 3",
    ),
    Planted(
        "test-coverage", WIDE + ONE + REST + "test_interval: 4\ntest_iter: FAULT", "4", "3",
        "test_iter 4 × batch_size 20 = 80 images, and good_lmdb has 60", 11, "warning", fix="test_iter: 3",
    ),
    Planted(
        "snapshot-folder", NET + ONE + RATE + POLY + CPU + 'snapshot: 4\nsnapshot_prefix: "FAULT/x"', "nowhere",
        "snapshots", "nowhere does not exist, seen from {folder}", 8, aborts="Cannot write to snapshot prefix",
    ),
    Planted(
        "snapshot-never", NET + ONE + RATE + POLY + CPU + 'snapshot_prefix: "snapshots/x"\nsnapshot: FAULT', "0", "4",
        "snapshot is 0", 8, "note",
    ),
    Planted(
        "snapshot-never",
        NET + ONE + RATE + POLY + CPU + 'snapshot_prefix: "snapshots/x"\nsnapshot_after_train: false\nFAULT', "",
        "snapshot: 4", "snapshot is 0, and snapshot_after_train false", 8,
    ),
    Planted(
        "snapshot-untested", NET + ONE + REST + "test_iter: 1\ntest_interval: FAULT", "3", "2",
        "snapshot is 4 and test_interval 3: neither is a multiple of the other", 6, "note",
    ),
    Planted(
        "bn-iter-size", NET.replace("net.", "FAULT.") + ONE + REST + "iter_size: 2", "reading", "wide",
        "2 passes of 8 images make a batch of 16, but BatchNorm sees 8 at a time", 10, "warning",
    ),
    Planted(
        "bn-global-stats-weights", FROZEN + ONE + REST + "FAULT", "", "# begins with --weights w.caffemodel",
        "the BatchNorm layers of frozen.prototxt use stored statistics, and nothing says from which weights", 1,
        "warning",
    ),
]  # fmt: skip
FILES = {
    "net.prototxt": NET_TEXT,
    "frozen.prototxt": FROZEN_TEXT,
    "reading.prototxt": READING_TEXT,
    "wide.prototxt": READING_TEXT.replace("batch_size: 8", "batch_size: 16"),
}
