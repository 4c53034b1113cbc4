"""From what a user asks for to the messages of a model folder; nothing is read or written here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from batchbrew.errors import InputError
from batchbrew.nets.changes import Changes, change, use_global_statistics
from batchbrew.nets.cost import Cost, EmptyBlobError, network_cost, smallest_crop
from batchbrew.nets.inputs import DataSource, Mean
from batchbrew.nets.phases import Body, deploy_net, train_val_net
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.durations import batch_norm_warning
from batchbrew.solver.solver import TrainingPlan, build_solver, explain

LARGEST_CROP = 65_535  # a JPEG's longest side
LARGEST_CLASSES = 2**24  # labels beyond are not exact as 32-bit floats, in which Caffe keeps them
SMALL_CROP = 100  # below, an ImageNet stem leaves hardly a pixel for the last stage


@dataclass(frozen=True)
class Network:
    """A family's network in which everything is decided but the crop.

    `body(crop)` appends it; `mean` is what its data layers subtract. `batch_normalised`: has it any BatchNorm?
    `deploy_says_global`: the released deploy.prototxt says use_global_stats, which in testing is so anyway.
    """

    name: str
    body: Callable[[int], Body]
    mean: Mean | None = None
    batch_normalised: bool = True
    deploy_says_global: bool = False
    hint_for_small_crops: str = ""


@dataclass(frozen=True)
class ModelRequest:
    """What is to be generated. `name` names the network, and with it the snapshots."""

    name: str
    network: Network
    classes: int
    crop: int
    train: DataSource
    val: DataSource
    plan: TrainingPlan
    changes: Changes = field(default_factory=Changes)


@dataclass(frozen=True)
class Model:
    """The three definitions, and what there is to say about them.

    `notes` are for whoever uses the networks, `deploy_notes` for who uses `deploy`, where no data layer helps.
    """

    train_val: pb.NetParameter
    deploy: pb.NetParameter
    solver: pb.SolverParameter
    cost: Cost
    explanation: Sequence[str]
    notes: Sequence[str]
    deploy_notes: Sequence[str]
    warnings: Sequence[str]


def build_model(request: ModelRequest) -> Model:
    """Raises InputError for a value that no network or solver can be made with."""
    check_range("--classes", request.classes, 2, LARGEST_CLASSES)
    check_range("--crop", request.crop, 1, LARGEST_CROP)
    _check_changes(request)
    solver = build_solver(request.plan)
    deploy = _deploy(request, request.crop)
    train_val = train_val_net(
        request.name,
        request.network.body(request.crop),
        train=request.train,
        val=request.val,
        crop=request.crop,
        classes=request.classes,
        mean=request.network.mean,
    )
    change(train_val, request.changes)
    return Model(
        train_val=train_val,
        deploy=deploy,
        solver=solver,
        cost=_cost(request, deploy),
        explanation=[*explain(request.plan, solver), *_weights_needed(request)],
        notes=_notes(request),
        deploy_notes=_deploy_notes(request),
        warnings=_warnings(request),
    )


def _deploy(request: ModelRequest, crop: int) -> pb.NetParameter:
    net = deploy_net(request.name, request.network.body(crop), crop=crop)
    change(net, request.changes)
    if request.network.deploy_says_global:
        use_global_statistics(net)
    return net


def _check_changes(request: ModelRequest) -> None:
    changes = request.changes
    fraction = changes.moving_average_fraction
    if fraction is not None and not 0 < fraction < 1:
        raise InputError(f"--bn-fraction must be between 0 and 1, not {fraction:g}")
    about_batch_norm = {
        "--global-stats": changes.global_statistics,
        "--bn-fraction": fraction is not None,
        "--bn nvcaffe": changes.fused_batch_norm,
    }
    for option, given in about_batch_norm.items():
        if given and not request.network.batch_normalised:
            raise InputError(
                f"{option} is about BatchNorm, which --original is without: leave one of them away"
            )
    if changes.fused_batch_norm and changes.global_statistics:
        raise InputError(
            "--global-stats does nothing with --bn nvcaffe: in training NVIDIA Caffe's BatchNorm always "
            "normalises by the batch; leave one of them away"
        )


def _weights_needed(request: ModelRequest) -> list[str]:
    if not request.changes.global_statistics:
        return []
    return [
        "BatchNorm uses stored statistics: begin with weights that bring them (batchbrew train --weights W)."
    ]


def _notes(request: ModelRequest) -> list[str]:
    if not request.changes.fused_batch_norm:
        return []
    return ["Only NVIDIA Caffe reads these networks: scale_bias in batch_norm_param is its own."]


def _deploy_notes(request: ModelRequest) -> list[str]:
    if request.network.mean is None:
        return []
    return [f"deploy.prototxt takes images (BGR, 0 to 255) minus their mean: {request.network.mean}."]


def _warnings(request: ModelRequest) -> list[str]:
    warning = batch_norm_warning(
        request.plan.device_batch_images,
        global_statistics=request.changes.global_statistics or not request.network.batch_normalised,
    )
    warnings = [warning] if warning else []
    if request.crop < SMALL_CROP and request.network.hint_for_small_crops:
        warnings.append(f"--crop {request.crop} is small: {request.network.hint_for_small_crops}")
    return warnings


def check_range(option: str, value: int, smallest: int, largest: int) -> None:
    """Raises InputError if `value` lies outside."""
    if not smallest <= value <= largest:
        raise InputError(f"{option} must be from {smallest:,} to {largest:,}, not {value:,}")


def _cost(request: ModelRequest, deploy: pb.NetParameter) -> Cost:
    try:
        return network_cost(deploy)
    except EmptyBlobError as error:
        enough = smallest_crop(lambda crop: _deploy(request, crop), request.crop)
        raise InputError(
            f"--crop {request.crop} is too small for {request.name}: {error}; "
            f"the smallest that works is {enough}"
        ) from error
