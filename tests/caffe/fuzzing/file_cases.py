"""Damaged files: weights, solver states, means, data sets of every kind, lists, pictures."""

import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import h5py
import lmdb
import numpy as np

from batchbrew.nets.shapes import infer_shapes
from batchbrew.parity.case import Case
from batchbrew.parity.drawing import draw
from batchbrew.parity.exercises import is_expected_to_be_built
from batchbrew.parity.image_sources import lmdb_data
from batchbrew.parity.parameters import parameter_values
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.blobs import array_blob
from batchbrew.proto.text import format_prototxt
from tests.caffe.fuzzing.binary_mutations import mutated_bytes
from tests.caffe.fuzzing.damaged import Damaged
from tests.caffe.fuzzing.field_mutations import mutate_message
from tests.caffe.fuzzing.net_cases import net_files, net_job, small_net, small_solver
from tests.caffe.fuzzing.text_mutations import mutated_text

TRIES = 100
HISTORIES = {"AdaDelta": 2, "Adam": 2}
READERS = {"lmdb": ["Data"], "hdf5": ["HDF5Data"], "image": ["ImageData", "ImageData", "WindowData"]}
ENDINGS: dict[str, str | tuple[str, ...]] = {"lmdb": ".mdb", "hdf5": ".h5", "image": (".png", ".jpg")}
OF_WEIGHTS = ("stack", "stack", "net:resnet10", "net:alexnet", "BatchNorm", "LSTM", "PReLU", "Convolution")


def weights_case(kind: str, seed: int, number: int) -> Damaged:
    """A .caffemodel or .caffemodel.h5 for a sound net."""
    random = Random(f"{seed} {kind} {number}")
    case = _sound(OF_WEIGHTS[number % len(OF_WEIGHTS)], seed, random)
    hdf5 = kind.endswith("h5")
    file = "weights.caffemodel.h5" if hdf5 else "weights.caffemodel"
    content = mutated_bytes(random, _weights_hdf5(case)) if hdf5 else _damaged_message(random, _weights(case))
    files = {**net_files(case), file: content}
    return Damaged(kind, seed, number, {**net_job(case), "do": "weights", "file": f"../{file}"}, files)


def state_case(kind: str, seed: int, number: int) -> Damaged:
    """A .solverstate or .solverstate.h5 for a sound solver, or the weights that go with it."""
    random = Random(f"{seed} {kind} {number}")
    solver, net = small_solver(random), small_net(random)
    solver.ClearField("net_param")
    solver.net = "../net.prototxt"
    hdf5 = kind.endswith("h5")
    file = "run.solverstate.h5" if hdf5 else "run.solverstate"
    weights = _weights_of(net, pb.TRAIN, random)
    histories = [
        blob for _ in range(HISTORIES.get(solver.type, 1)) for layer in weights.layer for blob in layer.blobs
    ]
    state = pb.SolverState(iter=2, learned_net="../run.caffemodel", current_step=1, history=histories)
    content = _state_hdf5(state) if hdf5 else state.SerializeToString()
    files = {
        "solver.prototxt": format_prototxt(solver).encode(),
        "net.prototxt": format_prototxt(net).encode(),
        file: content,
        "run.caffemodel": weights.SerializeToString(),
    }
    if random.random() < 0.15:
        files["run.caffemodel"] = mutated_bytes(random, files["run.caffemodel"])
    else:
        files[file] = mutated_bytes(random, content) if hdf5 else _damaged_message(random, state)
    return Damaged(kind, seed, number, {"do": "restore", "file": f"../{file}"}, files)


def blob_case(kind: str, seed: int, number: int) -> Damaged:
    """A mean image, or InfogainLoss's matrix."""
    random = Random(f"{seed} {kind} {number}")
    wanted = ("mean.binaryproto", "matrix.binaryproto")
    case = _sound(
        random.choice(["Data", "ImageData", "WindowData", "InfogainLoss-file"]), seed, random, wanted
    )
    name = next(name for name in wanted if name in case.files)
    changed = _damaged_message(random, pb.BlobProto.FromString(case.files[name]))
    arrays = dict(case.passes[0].data)
    return Damaged(kind, seed, number, net_job(case), {**net_files(case), name: changed}, arrays)


def datum_case(kind: str, seed: int, number: int) -> Damaged:
    """An LMDB that is sound itself, some of whose records are not."""
    random = Random(f"{seed} {kind} {number}")
    case = _sound("Data", seed, random)
    records = _records(case.files["data/data.mdb"])
    for index in range(len(records)):
        if random.random() < 0.6:
            records[index] = _damaged_datum(random, records[index])
    files = {**net_files(case), "data/data.mdb": lmdb_data(records)}
    return Damaged(kind, seed, number, {**net_job(case), "passes": 3}, files)


def bytes_case(kind: str, seed: int, number: int) -> Damaged:
    """The bytes of a data set: `lmdb`, `hdf5`, `image`."""
    random = Random(f"{seed} {kind} {number}")
    case = _sound(random.choice(READERS[kind]), seed, random)
    files = net_files(case)
    names = [name for name in files if name.endswith(ENDINGS[kind])]
    for name in random.sample(names, random.randint(1, len(names))):
        files[name] = mutated_bytes(random, files[name])
    return Damaged(kind, seed, number, {**net_job(case), "passes": 3}, files)


def list_case(kind: str, seed: int, number: int) -> Damaged:
    """Lists of images, of windows, of HDF5 files."""
    random = Random(f"{seed} {kind} {number}")
    case = _sound(random.choice(["ImageData", "WindowData", "HDF5Data"]), seed, random)
    files = net_files(case)
    (name,) = [name for name in files if name.endswith(".txt")]
    if random.random() < 0.7:
        text = files[name].decode()
        files[name] = mutated_text(random, text).encode("utf-8", "surrogateescape")
    else:
        files[name] = mutated_bytes(random, files[name])
    return Damaged(kind, seed, number, {**net_job(case), "passes": 3}, files)


def _sound(kind: str, seed: int, random: Random, wanted: Sequence[str] = ()) -> Case:
    """A case of that kind that can be built and, if asked for, has one of the files `wanted`."""
    for _ in range(TRIES):
        case = draw(kind, seed, random.randrange(10**6))
        if is_expected_to_be_built(case) and (not wanted or any(name in case.files for name in wanted)):
            return case
    raise AssertionError(f"no {kind} has {wanted}")


def _weights(case: Case) -> pb.NetParameter:
    return _weights_of(case.net, case.phase, Random(case.number))


def _weights_of(net: pb.NetParameter, phase: int, random: Random) -> pb.NetParameter:
    built = infer_shapes(net, phase)
    values = parameter_values(built, np.random.default_rng(random.getrandbits(32)))
    made = pb.NetParameter(name=net.name)
    for step in built.layers:
        layer = made.layer.add(name=step.layer.name, type=step.layer.type)
        for index in range(len(step.parameters)):
            if (step.layer.name, index) in values:
                layer.blobs.append(array_blob(values[step.layer.name, index]))
    return made


def _weights_hdf5(case: Case) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for layer in _weights(case).layer:
            group = file.require_group("data").create_group(layer.name)
            for index, blob in enumerate(layer.blobs):
                group.create_dataset(
                    str(index), data=np.array(blob.data, np.float32).reshape(list(blob.shape.dim))
                )
    return content.getvalue()


def _state_hdf5(state: pb.SolverState) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("iter", data=np.array([state.iter], np.int32))
        file.create_dataset("learned_net", data=np.array(state.learned_net.encode(), dtype="S40"))
        file.create_dataset("current_step", data=np.array([state.current_step], np.int32))
        group = file.create_group("history")
        for index, blob in enumerate(state.history):
            group.create_dataset(
                str(index), data=np.array(blob.data, np.float32).reshape(list(blob.shape.dim))
            )
    return content.getvalue()


def _damaged_message(random: Random, message: pb.NetParameter | pb.SolverState | pb.BlobProto) -> bytes:
    """Its bytes mutated or, so that protobuf still reads it, its fields."""
    if random.random() < 0.6:
        return mutated_bytes(random, message.SerializeToString())
    changed = type(message)()
    changed.CopyFrom(message)
    if isinstance(changed, pb.BlobProto) or random.random() < 0.3:
        mutate_message(random, changed)
    else:
        layers = changed.layer if isinstance(changed, pb.NetParameter) else ()
        blobs = (
            list(changed.history)
            if isinstance(changed, pb.SolverState)
            else [b for e in layers for b in e.blobs]
        )
        for blob in random.sample(blobs, min(len(blobs), random.choice([1, 1, 3]))):
            mutate_message(random, blob)
    wire: bytes = changed.SerializePartialToString()
    return wire


def _damaged_datum(random: Random, record: bytes) -> bytes:
    if random.random() < 0.4:
        return mutated_bytes(random, record)
    datum = pb.Datum.FromString(record)
    if datum.encoded and random.random() < 0.6:
        datum.data = mutated_bytes(random, datum.data)
    else:
        mutate_message(random, datum)
    wire: bytes = datum.SerializeToString()
    return wire


def _records(data: bytes) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "data.mdb").write_bytes(data)
        with lmdb.open(folder, readonly=True, lock=False) as environment, environment.begin() as transaction:
            return [bytes(value) for _, value in transaction.cursor()]


Draw = Callable[[str, int, int], Damaged]
FILES: dict[str, Draw] = {
    "caffemodel": weights_case,
    "caffemodel.h5": weights_case,
    "solverstate": state_case,
    "solverstate.h5": state_case,
    "binaryproto": blob_case,
    "datum": datum_case,
    "lmdb": bytes_case,
    "hdf5": bytes_case,
    "image": bytes_case,
    "list": list_case,
}
