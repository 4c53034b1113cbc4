"""From what a user asks for to the messages of a model folder; nothing is read or written here."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchbrew.errors import InputError
from batchbrew.nets.blocks import set_moving_average_fraction, use_global_statistics
from batchbrew.nets.cost import Cost, EmptyBlobError, network_cost, smallest_crop
from batchbrew.nets.inputs import DataSource
from batchbrew.nets.phases import Body, deploy_net, train_val_net
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.durations import batch_norm_warning
from batchbrew.solver.solver import TrainingPlan, build_solver, explain

LARGEST_CROP = 65_535  # a JPEG's longest side
LARGEST_CLASSES = 2**24  # labels beyond are not exact as 32-bit floats, in which Caffe keeps them


@dataclass(frozen=True)
class ModelRequest:
    """What is to be generated. `name` names the network, and with it the snapshots."""

    name: str
    body: Body
    classes: int
    crop: int
    train: DataSource
    val: DataSource
    plan: TrainingPlan
    global_statistics: bool = False
    moving_average_fraction: float | None = None  # None: Caffe's default, 0.999, unwritten


@dataclass(frozen=True)
class Model:
    """The three definitions, and what there is to say about them."""

    train_val: pb.NetParameter
    deploy: pb.NetParameter
    solver: pb.SolverParameter
    cost: Cost
    explanation: Sequence[str]
    warnings: Sequence[str]


def build_model(request: ModelRequest) -> Model:
    """Raises InputError for a value that no network or solver can be made with."""
    check_range("--classes", request.classes, 2, LARGEST_CLASSES)
    check_range("--crop", request.crop, 1, LARGEST_CROP)
    solver = build_solver(request.plan)
    deploy = deploy_net(request.name, request.body, crop=request.crop)
    train_val = train_val_net(
        request.name,
        request.body,
        train=request.train,
        val=request.val,
        crop=request.crop,
        classes=request.classes,
    )
    for net in (deploy, train_val):
        if request.global_statistics:
            use_global_statistics(net)
        if request.moving_average_fraction is not None:
            _check_fraction(request.moving_average_fraction)
            set_moving_average_fraction(net, request.moving_average_fraction)
    warning = batch_norm_warning(
        request.plan.device_batch_images, global_statistics=request.global_statistics
    )
    return Model(
        train_val=train_val,
        deploy=deploy,
        solver=solver,
        cost=_cost(request, deploy),
        explanation=explain(request.plan, solver),
        warnings=[warning] if warning else [],
    )


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise InputError(f"--bn-fraction must be between 0 and 1, not {fraction:g}")


def check_range(option: str, value: int, smallest: int, largest: int) -> None:
    """Raises InputError if `value` lies outside."""
    if not smallest <= value <= largest:
        raise InputError(f"{option} must be from {smallest:,} to {largest:,}, not {value:,}")


def _cost(request: ModelRequest, deploy: pb.NetParameter) -> Cost:
    try:
        return network_cost(deploy)
    except EmptyBlobError as error:
        enough = smallest_crop(lambda crop: deploy_net(request.name, request.body, crop=crop), request.crop)
        raise InputError(
            f"--crop {request.crop} is too small for {request.name}: {error}; "
            f"the smallest that works is {enough}"
        ) from error
