"""Damaged nets and solvers, and sound nets that are given bad numbers or shapes."""

from random import Random
from typing import Any

import numpy as np
from google.protobuf.message import Message

from batchbrew.parity.case import Case
from batchbrew.parity.drawing import KINDS, draw
from batchbrew.parity.specimens.specimens import MAKERS
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import format_prototxt
from tests.caffe.fuzzing.damaged import Damaged
from tests.caffe.fuzzing.field_mutations import mutate_message
from tests.caffe.fuzzing.text_mutations import mutated_text

LAYERS = sorted(MAKERS)
NETS = ["stack", "stack", "wiring", *(kind for kind in KINDS if kind.startswith("net:"))]
SOURCES = ["Data", "ImageData", "HDF5Data", "WindowData", "HDF5Output", "Python", "InfogainLoss-file"]
BAD_NUMBERS = (
    -1, -0.5, 0, 0.5, 1, 2, 3, 7, 255, 1e6, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, -(2.0**31), -(2.0**63), 1e30, -1e30,
    1e-45, 3.4e38, np.nan, np.inf, -np.inf,
)  # fmt: skip
BAD_LENGTHS = (0, 0, 1, 2, 3, 5, 17, 1000, 2**16, 2**20, 2**31 - 1, 2**31, 2**63, -1, -(2**31))
POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")
SOLVERS = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")


def layer_case(kind: str, seed: int, number: int) -> Damaged:
    """A net of one layer, all types in turn."""
    return _mutated_net(kind, seed, number, LAYERS[number % len(LAYERS)])


def net_case(kind: str, seed: int, number: int) -> Damaged:
    """A net of several layers."""
    return _mutated_net(kind, seed, number, NETS[number % len(NETS)])


def source_case(kind: str, seed: int, number: int) -> Damaged:
    """A net that reads files, which are sound."""
    return _mutated_net(kind, seed, number, SOURCES[number % len(SOURCES)])


def numbers_case(kind: str, seed: int, number: int) -> Damaged:
    """A sound net of one layer, some of whose inputs are no numbers that a layer can work with: labels, indices."""
    random = Random(f"{seed} {kind} {number}")
    case = draw(LAYERS[number % len(LAYERS)], seed, number // len(LAYERS))
    arrays = _arrays(case)
    for name in arrays:
        if arrays[name].size and random.random() < 0.8:
            changed = arrays[name].copy()
            for _ in range(random.choice([1, 1, 3, 100])):
                changed.flat[random.randrange(changed.size)] = random.choice(BAD_NUMBERS)
            arrays[name] = changed
    return Damaged(kind, seed, number, net_job(case), net_files(case), arrays)


def shapes_case(kind: str, seed: int, number: int) -> Damaged:
    """A sound net of one layer, whose inputs a program gives other shapes, some of them absurd."""
    random = Random(f"{seed} {kind} {number}")
    case = draw(LAYERS[number % len(LAYERS)], seed, number // len(LAYERS))
    shapes = {}
    for name, array in _arrays(case).items():
        shape = list(array.shape)
        for _ in range(random.choice([0, 1, 1, 2])):
            if shape and random.random() < 0.8:
                shape[random.randrange(len(shape))] = random.choice(BAD_LENGTHS)
            elif random.random() < 0.5:
                shape.append(random.choice(BAD_LENGTHS))
            else:
                shape = shape[:-1]
        shapes[name] = shape
    return Damaged(kind, seed, number, {**net_job(case), "shapes": shapes}, net_files(case))


def solver_case(kind: str, seed: int, number: int) -> Damaged:
    """A solver and its net, one of them mutated, as texts or as messages."""
    random = Random(f"{seed} {kind} {number}")
    solver, net = small_solver(random), small_net(random)
    which = random.choice(["solver", "solver", "solver", "net"])
    files = {
        "solver.prototxt": _mutated(random, solver) if which == "solver" else _text(solver),
        "net.prototxt": _mutated(random, net) if which == "net" else _text(net),
    }
    return Damaged(kind, seed, number, {"do": "train"}, files)


def small_net(random: Random) -> pb.NetParameter:
    """A net to train that needs no file, with a branch for the test."""
    net = pb.NetParameter(name="small")
    layer = net.layer.add(name="data", type="DummyData", top=["data", "label"])
    layer.dummy_data_param.shape.extend([pb.BlobShape(dim=[4, 2, 6, 6]), pb.BlobShape(dim=[4])])
    layer.dummy_data_param.data_filler.add(type="gaussian", std=1)
    layer.dummy_data_param.data_filler.add(type="constant", value=1)
    layer = net.layer.add(name="conv1", type="Convolution", bottom=["data"], top=["conv1"])
    layer.convolution_param.num_output = 3
    layer.convolution_param.kernel_size.append(3)
    layer.convolution_param.weight_filler.type = random.choice(["msra", "xavier", "gaussian"])
    layer.param.add(lr_mult=1, decay_mult=1)
    layer.param.add(lr_mult=2, decay_mult=0)
    if random.random() < 0.5:
        net.layer.add(name="bn1", type="BatchNorm", bottom=["conv1"], top=["conv1"])
    net.layer.add(name="relu1", type="ReLU", bottom=["conv1"], top=["conv1"])
    layer = net.layer.add(name="fc", type="InnerProduct", bottom=["conv1"], top=["fc"])
    layer.inner_product_param.num_output = 5
    layer.inner_product_param.weight_filler.type = "xavier"
    net.layer.add(name="loss", type="SoftmaxWithLoss", bottom=["fc", "label"], top=["loss"])
    accuracy = net.layer.add(name="accuracy", type="Accuracy", bottom=["fc", "label"], top=["accuracy"])
    accuracy.include.add(phase=pb.TEST)
    return net


def small_solver(random: Random) -> pb.SolverParameter:
    """Of any type and policy, with the net in a file or in itself."""
    solver = pb.SolverParameter(
        base_lr=0.01, lr_policy=random.choice(POLICIES), gamma=0.1, power=0.75, stepsize=2, stepvalue=[1, 3],
        max_iter=4, type=random.choice(SOLVERS), momentum2=0.999, rms_decay=0.98, delta=1e-8, weight_decay=0.0005,
        snapshot_prefix="run", snapshot=2, display=1, random_seed=1, test_iter=[1], test_interval=2,
    )  # fmt: skip
    if solver.type not in ("AdaGrad", "RMSProp"):
        solver.momentum = 0.9
    solver.regularization_type = random.choice(["L1", "L2"])
    solver.snapshot_format = random.choice(pb.SolverParameter.SnapshotFormat.values())
    solver.clip_gradients = random.choice([-1, 0.5])
    solver.debug_info = random.random() < 0.2
    if random.random() < 0.3:
        solver.net_param.CopyFrom(small_net(random))
    else:
        solver.net = "../net.prototxt"
    return solver


def net_job(case: Case) -> dict[str, Any]:
    """Build it, run it forward and backward, save it and load it again."""
    return {"do": "net", "phase": case.phase}


def net_files(case: Case) -> dict[str, bytes]:
    """The prototxt, and what it reads."""
    return {"net.prototxt": _text(case.net), **case.files}


def _mutated_net(kind: str, seed: int, number: int, of: str) -> Damaged:
    random = Random(f"{seed} {kind} {number}")
    case = draw(of, seed, random.randrange(10**6))
    files = {**net_files(case), "net.prototxt": _mutated(random, case.net)}
    return Damaged(kind, seed, number, net_job(case), files, _arrays(case))


def _mutated(random: Random, message: Any) -> bytes:
    if random.random() < 0.4:
        return mutated_text(random, format_prototxt(message)).encode("utf-8", "surrogateescape")
    changed = type(message)()
    changed.CopyFrom(message)
    mutate_message(random, changed)
    return _text(changed)


def _text(message: Message) -> bytes:
    return format_prototxt(message).encode("utf-8", "surrogateescape")


def _arrays(case: Case) -> dict[str, Array]:
    return dict(case.passes[0].data) if case.passes else {}
