"""The network that a prototxt file describes, or that the solver in it trains, in today's form."""

from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.nets.upgrade import upgraded
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.files import is_there
from batchbrew.proto.text import read_prototxt


@dataclass(frozen=True)
class NetFile:
    """A network, and the file that it is in."""

    path: Path
    net: pb.NetParameter


def read_network(path: Path, phase: int = pb.TRAIN) -> NetFile:
    """The network in `path`, or of the solver in `path`: that which it trains, or in TEST its first test net.

    The level and stages that a solver names are put into the network's state. Raises InputError.
    """
    try:
        net = read_prototxt(path, pb.NetParameter)
    except InputError as error:
        solver = _solver(path)
        if solver is None:
            raise error from None
        return _network_of_solver(path, solver, phase)
    if not (net.layer or net.layers):
        raise InputError(f"{path} has no layers: give the prototxt of a network or of a solver")
    return NetFile(path, upgraded(net))


def _solver(path: Path) -> pb.SolverParameter | None:
    try:
        return read_prototxt(path, pb.SolverParameter)
    except InputError:
        return None


def _network_of_solver(path: Path, solver: pb.SolverParameter, phase: int) -> NetFile:
    testing = phase == pb.TEST
    if testing and solver.test_net_param:
        found, inside = path, solver.test_net_param[0]
    elif testing and solver.test_net:
        found, inside = _beside(path, solver.test_net[0]), None
    elif solver.HasField("train_net_param"):
        found, inside = path, solver.train_net_param
    elif solver.HasField("net_param"):
        found, inside = path, solver.net_param
    elif name := solver.train_net or solver.net:
        found, inside = _beside(path, name), None
    else:
        raise InputError(f"{path} is a solver that names no net: add net: to it")
    net = upgraded(read_prototxt(found, pb.NetParameter) if inside is None else inside)
    state = solver.test_state[0] if testing and solver.test_state else solver.train_state
    if not testing or solver.test_state:
        net.state.MergeFrom(state)
    return NetFile(found, net)


def _beside(solver: Path, name: str) -> Path:
    """Caffe looks from the folder where training is started; a solver that was moved has its net beside it."""
    path = Path(name)
    if not is_there(path) and (solver.parent / path.name).exists():
        return solver.parent / path.name
    if not is_there(path):
        raise InputError(
            f"{solver} names the net {name}, which is not there: start from the folder it is seen from"
        )
    return path
