"""Changes to a whole network, of whatever family it is; each is made in place."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb


@dataclass(frozen=True)
class RateFactor:
    """A factor on the learning rate of all layers whose names match `pattern`, a glob like conv*."""

    pattern: str
    factor: float


@dataclass(frozen=True)
class Changes:
    """What a user wants to be different from a family's own network."""

    global_statistics: bool = False
    moving_average_fraction: float | None = None
    classifier_name: str | None = None
    fused_batch_norm: bool = False
    rate_factors: Sequence[RateFactor] = ()


def change(net: pb.NetParameter, changes: Changes) -> None:
    """Raises InputError for a change that cannot be made to `net`."""
    if changes.global_statistics:
        use_global_statistics(net)
    if changes.moving_average_fraction is not None:
        set_moving_average_fraction(net, changes.moving_average_fraction)
    if changes.classifier_name is not None:
        rename_classifier(net, changes.classifier_name)
    if changes.fused_batch_norm:
        fuse_batch_norm(net)
    for factor in changes.rate_factors:
        multiply_rate(net, factor)


def use_global_statistics(net: pb.NetParameter) -> None:
    """Let every BatchNorm normalise by its stored statistics, in training too, and collect no new ones.

    For fine-tuning with few images at a time. Of use only with weights that bring statistics along.
    """
    for layer in net.layer:
        if layer.type == "BatchNorm":
            layer.batch_norm_param.use_global_stats = True


def set_moving_average_fraction(net: pb.NetParameter, fraction: float) -> None:
    """Let every BatchNorm's statistics be a mean in which a batch counts `fraction` times as much as the next.

    Caffe's default of 0.999 looks back a thousand batches or so: in a shorter training the statistics that
    testing uses still hold those of the untrained net.
    """
    for layer in net.layer:
        if layer.type == "BatchNorm":
            layer.batch_norm_param.moving_average_fraction = fraction


def rename_classifier(net: pb.NetParameter, name: str) -> None:
    """Name the last InnerProduct, and the blob of scores that it makes, `name`.

    Weights are found by layer name: under a new name a classifier of other classes does not meet the old one's.
    """
    (*_, last) = (layer for layer in net.layer if layer.type == "InnerProduct")
    old = last.top[0]
    taken = {word for layer in net.layer for word in (layer.name, *layer.top)} - {last.name, old}
    if not name or name in taken:
        what = "another layer or blob of the network has it" if name else "it is empty"
        raise InputError(f"--classifier-name {name!r} cannot be used, as {what}: choose another")
    last.name = last.top[0] = name
    for layer in net.layer:
        layer.bottom[:] = [name if bottom == old else bottom for bottom in layer.bottom]


def fuse_batch_norm(net: pb.NetParameter) -> None:
    """Put each Scale into the BatchNorm before it, as NVIDIA Caffe has it: by `scale_bias: true`.

    The layer keeps the BatchNorm's name and gets the Scale's top. Its blobs are then mean, variance, a correction
    of the variance, factor and bias. Whatever is written, NVIDIA Caffe learns the last two at the common rate
    and with decay (NVIDIA/caffe, batch_norm_layer.cpp); so that is what is written. Raises InputError if there is
    nothing to fuse.
    """
    kept: list[pb.LayerParameter] = []
    for layer in net.layer:
        before = kept[-1] if kept else None
        if layer.type == "Scale" and before is not None and before.type == "BatchNorm":
            assert list(layer.bottom) == list(before.top), f"{layer.name} scales another blob"
            before.top[:] = layer.top
            before.batch_norm_param.scale_bias = True
            before.param.extend([pb.ParamSpec(lr_mult=1, decay_mult=1)] * 2)
        else:
            kept.append(layer)
    if len(kept) == len(net.layer):
        raise InputError("--bn nvcaffe puts Scale into BatchNorm, but no BatchNorm here has one: add --scale")
    layers = [pb.LayerParameter.FromString(layer.SerializeToString()) for layer in kept]
    del net.layer[:]
    net.layer.extend(layers)


def multiply_rate(net: pb.NetParameter, rate: RateFactor) -> None:
    """Multiply `lr_mult` of what matching layers learn; a factor of 0 freezes them.

    Raises InputError if no layer matches, naming near ones, and if those that match learn nothing.
    """
    matching = [layer for layer in net.layer if fnmatch.fnmatchcase(layer.name, rate.pattern)]
    option = f"--lr-mult {rate.pattern}={rate.factor:g}"
    if not matching:
        raise InputError(f"{option} matches no layer: {_near(net, rate.pattern)}")
    for layer in matching:
        if layer.batch_norm_param.scale_bias:
            raise InputError(
                f"{option} matches {layer.name}, whose rate NVIDIA Caffe sets itself: choose a pattern without it"
            )
    learned = [param for layer in matching for param in layer.param if param.lr_mult]
    if not learned:
        raise InputError(f"{option} matches only layers that learn nothing, such as {matching[0].name}")
    for param in learned:
        param.lr_mult *= rate.factor


def _near(net: pb.NetParameter, pattern: str) -> str:
    learning = list(dict.fromkeys(layer.name for layer in net.layer if layer.param))
    near = get_close_matches(pattern.strip("*"), learning, n=3, cutoff=0.4) or learning[-3:]
    return f"layers are named like {', '.join(near)}"
