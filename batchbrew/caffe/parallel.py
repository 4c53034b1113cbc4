"""Several processes that train one net together: pycaffe's NCCL, on torch.distributed (parallel.cpp).

Each process has a solver of its own, and the mean of all gradients: exchanged by NCCL on GPUs, by Gloo on CPUs.
"""

import os
import socket
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.solving.solver import Solver
from batchbrew.errors import EngineError, InputError

WAIT = timedelta(hours=2)  # the others wait as long as the first process takes for its tests
THIS_MACHINE = "127.0.0.1"


def has_nccl() -> bool:
    """Can several processes train together here?"""
    return bool(dist.is_available() and (dist.is_nccl_available() or dist.is_gloo_available()))


class NCCL:
    """`NCCL(solver, uid)` joins the processes that were given the same `uid`; it returns when all are there.

    Before, each process says how many there are (set_solver_count) and which it is (set_solver_rank). Then
    `bcast()` gives all of them the first one's weights, `solver.add_callback(nccl)` has gradients exchanged in every
    iteration, and where the solver has layer_wise_reduce (Caffe's default), `solver.net.after_backward(nccl)`
    has each layer's exchanged while those below are computed.

    Raises InputError for a uid that is none or a net that cannot be reduced by layer, EngineError where the others
    cannot be reached.
    """

    def __init__(self, solver: Solver, uid: bytes | str) -> None:
        self._solver = solver
        self._passes: Counter[int] = Counter()
        self._under_way: list[tuple[list[Blob], Tensor, dist.Work]] = []
        self._layer_wise = solver.param.layer_wise_reduce
        learnable = solver.net.learnable_params
        if self._layer_wise and len(learnable) != sum(len(layer.blobs) for layer in solver.net.layers):
            raise InputError(
                f"net {solver.net.name!r} has layers that share parameters: add layer_wise_reduce: false to the solver"
            )
        _join(uid.decode() if isinstance(uid, bytes) else uid)
        mode.set_multiprocess(True)

    @staticmethod
    def new_uid() -> bytes:
        """A name under which processes find each other: the address at which the first of them will wait.

        It is one of this machine, or of the machine MASTER_ADDR, as torchrun sets it, where the first process runs.
        """
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        return f"tcp://{os.environ.get('MASTER_ADDR', THIS_MACHINE)}:{port}".encode()

    def bcast(self) -> None:
        """Give all processes the weights of the first."""
        blobs = [each.blob for each in self._solver.net.learnable_params]
        if blobs:
            flat = _flat([blob.data_tensor for blob in blobs])
            dist.broadcast(flat, 0)
            for blob, part in zip(blobs, _parts(flat, blobs), strict=True):
                blob.data_tensor = part.clone()

    def on_start(self) -> None:
        """A new iteration."""
        self._passes.clear()
        self._under_way.clear()

    def __call__(self, layer: int) -> None:
        """After layer number `layer` ran backward: begin to exchange its gradients, if no pass adds to them."""
        if not self._layer_wise:
            raise InputError(
                "after_backward(nccl) is for solvers with layer_wise_reduce: true, which is the default"
            )
        self._passes[layer] += 1
        if self._passes[layer] < self._solver.param.iter_size:
            return
        made = self._solver.net.layers[layer]
        if made.blobs and any(made.param_propagate_down):
            self._begin(list(made.blobs))

    def on_gradients_ready(self) -> None:
        """The update is next: have the mean of all gradients in place."""
        if not self._layer_wise:
            self._begin([each.blob for each in self._solver.net.learnable_params])
        for blobs, flat, work in self._under_way:
            work.wait()
            flat /= mode.solver_count()
            for blob, part in zip(blobs, _parts(flat, blobs), strict=True):
                blob.diff_tensor = part
        self._under_way.clear()

    def _begin(self, blobs: list[Blob]) -> None:
        if blobs:
            flat = _flat([blob.diff_tensor for blob in blobs])
            work = dist.all_reduce(flat, async_op=True)
            assert work is not None
            self._under_way.append((blobs, flat, work))


def _join(uid: str) -> None:
    """Become one of the processes of `uid`, unless this process is one already (by torchrun, say)."""
    if not has_nccl():
        raise EngineError("this PyTorch was built without torch.distributed: train with one process")
    count, rank = mode.solver_count(), mode.solver_rank()
    if rank >= count:
        raise InputError(
            f"solver_rank {rank} needs a solver_count of more than {count}: call set_solver_count"
        )
    if dist.is_initialized():
        if (dist.get_world_size(), dist.get_rank()) != (count, rank):
            raise InputError(
                f"this process is {dist.get_rank()} of {dist.get_world_size()}, but set_solver_count and "
                f"set_solver_rank say {rank} of {count}"
            )
        return
    if "://" not in uid:
        raise InputError(f"NCCL needs a uid as NCCL.new_uid() makes it, not {uid!r}")
    backend = "nccl" if mode.device().type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, init_method=uid, world_size=count, rank=rank, timeout=WAIT)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise EngineError(f"process {rank} of {count} cannot join the others at {uid}: {reason}") from None


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _parts(flat: Tensor, blobs: Sequence[Blob]) -> list[Tensor]:
    pieces = torch.split(flat, [blob.count for blob in blobs])
    return [piece.view(blob.shape) for piece, blob in zip(pieces, blobs, strict=True)]
