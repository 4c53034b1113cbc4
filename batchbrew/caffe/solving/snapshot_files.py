"""Snapshots: weights and a solver's state, in both of Caffe's formats (Snapshot and Restore of solver.cpp).

Each file is whole or not there, and the state, which names the weights, comes last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from batchbrew.atomic import write_file
from batchbrew.caffe import engine_log
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.hdf5_reading import hdf5_file
from batchbrew.caffe.net import Net
from batchbrew.caffe.weight_files import HDF5_SUFFIX
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import by
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary, write_binary
from batchbrew.proto.blobs import array_blob, blob_array
from batchbrew.proto.files import is_folder

LARGEST_ITERATION = 2**31 - 1


@dataclass(frozen=True)
class SolverState:
    """What training goes on from, beside the weights; `learned_net` is where these are, seen from where the run was
    begun, or None.
    """

    iteration: int
    learned_net: str | None
    current_step: int
    history: Sequence[NDArray[Any]]


def write_snapshot(
    net: Net, param: pb.SolverParameter, iteration: int, current_step: int, history: Sequence[Blob]
) -> None:
    """Write PREFIX_iter_N.caffemodel and .solverstate, or both with .h5. Raises InputError; nothing is half written."""
    stem = f"{param.snapshot_prefix}_iter_{iteration}"
    if not is_folder(Path(stem).parent):
        raise InputError(
            f"{stem}: no snapshot is written, its folder is not there: make it, and take a snapshot again"
        )
    if param.snapshot_format == pb.SolverParameter.HDF5:
        model = f"{stem}.caffemodel.h5"
        engine_log.info("solver.cpp:474", f"Snapshotting to HDF5 file {model}")
        net.save_hdf5(model, param.snapshot_diff)
        state = f"{stem}.solverstate.h5"
        engine_log.info("sgd_solver.cpp:296", f"Snapshotting solver state to HDF5 file {state}")
        _write_hdf5(Path(state), iteration, model, current_step, history)
    else:
        model = f"{stem}.caffemodel"
        engine_log.info("solver.cpp:464", f"Snapshotting to binary proto file {model}")
        write_binary(Path(model), net.to_param(param.snapshot_diff))
        state = f"{stem}.solverstate"
        engine_log.info("sgd_solver.cpp:284", f"Snapshotting solver state to binary proto file {state}")
        blobs = [array_blob(blob.data) for blob in history]
        message = pb.SolverState(iter=iteration, learned_net=model, current_step=current_step, history=blobs)
        write_binary(Path(state), message)


def _write_hdf5(
    path: Path, iteration: int, learned_net: str, current_step: int, history: Sequence[Blob]
) -> None:
    content = BytesIO()
    name = learned_net.encode()
    with h5py.File(content, "w") as file:
        file.create_dataset("iter", data=np.array([iteration], np.int32))
        # Caffe reads the text as C does, up to a zero
        file.create_dataset("learned_net", data=np.array(name, dtype=f"S{len(name) + 1}"))
        file.create_dataset("current_step", data=np.array([current_step], np.int32))
        group = file.create_group("history")
        for index, blob in enumerate(history):
            group.create_dataset(str(index), data=blob.data)
    write_file(path, content.getvalue())


def read_state(path: Path, history: Sequence[Blob]) -> SolverState:
    """The state in `path`, which must be of as many numbers as `history`, of the same shapes. Raises InputError."""
    state = _read_hdf5(path) if path.name.endswith(HDF5_SUFFIX) else _read_binary(path)
    if not 0 <= state.iteration <= LARGEST_ITERATION or state.current_step < 0:
        raise InputError(f"{path} is damaged: iteration {state.iteration}, step {state.current_step}")
    if len(state.history) != len(history):
        raise InputError(
            f"{path} holds {len(state.history)} history blobs, but this solver's net and type have {len(history)}: "
            "restore it with the net and the type that it was made with"
        )
    for index, (array, blob) in enumerate(zip(state.history, history, strict=True)):
        if _without_ones_before(array.shape) != _without_ones_before(blob.shape):
            raise InputError(
                f"{path}: history blob {index} is {by(array.shape)}, but this solver's is {by(blob.shape)}: restore "
                "it with the net that it was made with"
            )
    return state


def _without_ones_before(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Old files have four axes for all."""
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


def _read_binary(path: Path) -> SolverState:
    message = read_binary(path, pb.SolverState)
    arrays = [blob_array(blob, f"{path}: history blob {i}") for i, blob in enumerate(message.history)]
    learned_net = message.learned_net if message.HasField("learned_net") else None
    return SolverState(message.iter, learned_net, message.current_step, arrays)


def _read_hdf5(path: Path) -> SolverState:
    with hdf5_file(path, "a solverstate") as file:
        learned_net = None
        if "learned_net" in file:
            learned_net = bytes(_dataset(file, "learned_net", "S", path)[()]).split(b"\0")[0].decode()
        iteration, current_step = (_number(file, name, path) for name in ("iter", "current_step"))
        group = file.get("history")
        if not isinstance(group, h5py.Group):
            raise InputError(f"{path} is no solverstate: it holds no group history")
        arrays = [_dataset(group, str(index), "f", path)[...] for index in range(len(group))]
    return SolverState(iteration, learned_net, current_step, arrays)


def _number(file: Any, name: str, path: Path) -> int:
    dataset = _dataset(file, name, "i", path)
    if dataset.size != 1:
        raise InputError(f"{path}: {name} is not one number")
    return int(dataset[...].reshape(-1)[0])


def _dataset(group: Any, name: str, kind: str, path: Path) -> Any:
    """A dataset of numbers (`i`, `f`) or text (`S`). Raises InputError, also if it claims more bytes than the file."""
    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != kind:
        raise InputError(
            f"{path} is no solverstate: it holds no {group.name.rstrip('/')}/{name} as Caffe writes it"
        )
    if dataset.nbytes > path.stat().st_size:
        raise InputError(f"{path} is damaged: {name} has {dataset.nbytes:,} bytes, more than the file")
    return dataset
