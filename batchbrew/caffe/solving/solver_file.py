"""A solver's prototxt, and the nets that it trains and tests (Solver::InitTrainNet, InitTestNets)."""

from dataclasses import dataclass
from pathlib import Path

from batchbrew.caffe import engine_log, mode
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.files import is_folder, is_there
from batchbrew.proto.text import read_prototxt

OLD_TYPES = {
    pb.SolverParameter.SGD: "SGD",
    pb.SolverParameter.NESTEROV: "Nesterov",
    pb.SolverParameter.ADAGRAD: "AdaGrad",
    pb.SolverParameter.RMSPROP: "RMSProp",
    pb.SolverParameter.ADADELTA: "AdaDelta",
    pb.SolverParameter.ADAM: "Adam",
}
TRAIN_NETS = ("net", "net_param", "train_net", "train_net_param")


@dataclass(frozen=True)
class NamedNet:
    """A net to build, in the state that it is to have, and where it was named."""

    source: str
    param: pb.NetParameter


def read_solver(path: Path) -> pb.SolverParameter:
    """The solver in `path`, in today's form, with a snapshot_prefix that is no folder. Raises InputError."""
    param = read_prototxt(path, pb.SolverParameter)
    if param.HasField("solver_type"):
        _upgrade_type(param, path)
    if not param.HasField("snapshot_prefix"):
        param.snapshot_prefix = str(path.with_suffix(""))
        engine_log.info(
            "upgrade_proto.cpp:1108",
            f"snapshot_prefix was not specified and is set to {param.snapshot_prefix}",
        )
    elif is_folder(Path(param.snapshot_prefix)):
        param.snapshot_prefix = str(Path(param.snapshot_prefix) / path.stem)
        engine_log.info(
            "upgrade_proto.cpp:1113",
            f"snapshot_prefix was a directory and is replaced to {param.snapshot_prefix}",
        )
    if param.average_loss < 1:
        raise InputError(f"{path}: average_loss must be at least 1, not {param.average_loss}")
    if param.iter_size < 1:
        raise InputError(f"{path}: iter_size must be at least 1, not {param.iter_size}")
    return param


def _upgrade_type(param: pb.SolverParameter, path: Path) -> None:
    if param.HasField("type"):
        raise InputError(f"{path} has both solver_type, an enum of old, and type: keep type")
    engine_log.info(
        "upgrade_proto.cpp:1084",
        f"Attempting to upgrade input file specified using deprecated 'solver_type' field (enum)': {path}",
    )
    param.type = OLD_TYPES[param.solver_type]
    param.ClearField("solver_type")
    engine_log.info(
        "upgrade_proto.cpp:1091",
        "Successfully upgraded file specified using deprecated 'solver_type' field (enum) to 'type' field (string).",
    )
    engine_log.warning(
        "upgrade_proto.cpp:1093",
        "Note that future Caffe releases will only support 'type' field (string) for a solver's type.",
    )


def check_snapshot_prefix(param: pb.SolverParameter, path: Path) -> None:
    """Try now whether snapshots can be written. Raises InputError: better than after hours of training."""
    if not (param.snapshot and mode.is_root_solver()):
        return
    probe = Path(f"{param.snapshot_prefix}_iter_0.tempfile")
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{path}: snapshots cannot be written to {probe.parent}: {error.strerror or error}; "
            "make that folder, or change snapshot_prefix"
        ) from None


def log_solver(param: pb.SolverParameter) -> None:
    """Log all parameters, as the first thing of a solver."""
    if engine_log.is_on():
        engine_log.info("solver.cpp:45", f"Initializing solver from parameters: \n{engine_log.shown(param)}")


def train_net(param: pb.SolverParameter, path: Path) -> pb.NetParameter:
    """The net to train, in phase TRAIN unless a state says otherwise. Raises InputError."""
    given = [field for field in TRAIN_NETS if param.HasField(field)]
    if len(given) != 1:
        named = ", ".join(given) or "none"
        raise InputError(
            f"{path} must name the net to train by one of {', '.join(TRAIN_NETS)}; it has {named}"
        )
    (field,) = given
    value = getattr(param, field)
    if field.endswith("_param"):
        line = 88 if field == "train_net_param" else 97
        engine_log.info(f"solver.cpp:{line}", f"Creating training net specified in {field}.")
    else:
        line = 92 if field == "train_net" else 102
        engine_log.info(f"solver.cpp:{line}", f"Creating training net from {field} file: {value}")
    return _in_state(_net(value, path), pb.TRAIN, param.train_state)


def test_nets(param: pb.SolverParameter, path: Path) -> list[NamedNet]:
    """The nets to test, in Caffe's order: of test_net_param, test_net, and then `net` for each test_iter left.

    Raises InputError.
    """
    sources: list[tuple[str, pb.NetParameter | str]] = [
        *(("test_net_param", net) for net in param.test_net_param),
        *((f"test_net file: {name}", name) for name in param.test_net),
    ]
    wanted = len(param.test_iter)
    generic = param.HasField("net") or param.HasField("net_param")
    if len(sources) > wanted or (len(sources) < wanted and not generic):
        raise InputError(f"{path} has {len(sources)} test nets, but {wanted} test_iter: give one for each")
    for index, passes in enumerate(param.test_iter):
        if passes < 1:
            raise InputError(
                f"{path}: test_iter of test net {index} must be at least 1, not {passes}: or remove it"
            )
    generic_source = ("net_param", param.net_param) if param.HasField("net_param") else (
        f"net file: {param.net}", param.net,
    )  # fmt: skip
    sources += [generic_source] * (wanted - len(sources))
    states = param.test_state or [pb.NetState()] * wanted
    if len(states) != wanted:
        raise InputError(
            f"{path} has {len(states)} test_state for {wanted} test nets: give one for each, or none"
        )
    if wanted and param.test_interval <= 0:
        raise InputError(f"{path} has test nets, but no test_interval: add it, or remove test_iter")
    return [
        NamedNet(source, _in_state(_net(net, path), pb.TEST, state))
        for (source, net), state in zip(sources, states, strict=True)
    ]


def weight_files(param: pb.SolverParameter) -> list[str]:
    """The files of weights that the solver starts from, which `weights` lists with commas."""
    return [name.strip() for names in param.weights for name in names.split(",")]


def _net(given: pb.NetParameter | str, path: Path) -> pb.NetParameter:
    net = pb.NetParameter()
    if isinstance(given, pb.NetParameter):
        net.CopyFrom(given)
    elif not is_there(Path(given)):
        raise InputError(
            f"{path} names the net {given}, which is not there: start from the folder that it is seen from"
        )
    else:
        net = read_prototxt(Path(given), pb.NetParameter)
    return net


def _in_state(net: pb.NetParameter, phase: pb.Phase, state: pb.NetState) -> pb.NetParameter:
    """`net` in `phase`, at what its own state says, and over that at what the solver's says."""
    merged = pb.NetState(phase=phase)
    merged.MergeFrom(net.state)
    merged.MergeFrom(state)
    net.state.CopyFrom(merged)
    return net
