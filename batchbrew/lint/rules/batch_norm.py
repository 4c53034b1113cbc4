"""BatchNorm: its multipliers, its Scale, its batch, its statistics."""

from collections.abc import Iterator

from batchbrew.lint.image_contents import batch_of
from batchbrew.lint.registry import Fault, NetCase, SolverCase, net_rule, solver_rule
from batchbrew.lint.views import View
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.durations import SMALLEST_BATCH_NORM_BATCH

STATISTICS_BLOBS = 3
THREE_ZEROS = "write param { lr_mult: 0 } three times into it"


def batch_norms(view: View) -> list[tuple[int, pb.LayerParameter]]:
    """The BatchNorm layers with their numbers."""
    return [(number, layer) for number, layer in enumerate(view.layers) if layer.type == "BatchNorm"]


def _takes_batch_statistics(view: View) -> bool:
    return any(not layer.batch_norm_param.use_global_stats for _, layer in batch_norms(view))


@net_rule(
    "bn-multipliers",
    "warning",
    "BatchNorm without three zero lr_mult",
    why="Caffe before 1.0 takes mean, variance and factor for weights, and weight decay eats them; 1.0 protects them.",
)
def multipliers(case: NetCase) -> Iterator[Fault]:
    """Three zeros are right everywhere.

    Real Caffe 1.0: none, or one or two zeros: the layer adds zeros; three of any value: dropped on reading
    (UpgradeNetBatchNorm); one or two that are not zero: CHECK fails, "Cannot configure batch normalization
    statistics as layer parameters"; four: "Too many params". Versions before have none of this.
    """
    learns = any(view.has_loss for view in case.views)
    for layer in case.file.net.layer:
        if layer.type != "BatchNorm":
            continue
        rates = [param.lr_mult for param in layer.param]
        fused = layer.batch_norm_param.scale_bias  # NVIDIA Caffe's, with two learned blobs more
        statistics = rates[:STATISTICS_BLOBS] if fused else rates
        if len(statistics) < STATISTICS_BLOBS and any(statistics):
            yield Fault(
                layer,
                f"lr_mult of its statistics is {_listed(statistics)}",
                THREE_ZEROS,
                why="Caffe 1.0 ends at it: Cannot configure batch normalization statistics as layer parameters.",
                severity="error",
            )
        elif len(statistics) > STATISTICS_BLOBS:
            yield Fault(
                layer,
                f"it has {len(statistics)} param for three blobs",
                THREE_ZEROS,
                why="Caffe ends at it: Too many params specified.",
                severity="error",
            )
        elif not learns:
            continue  # no solver sees the net
        elif any(statistics):
            yield Fault(layer, f"lr_mult of its statistics is {_listed(statistics)}", THREE_ZEROS)
        elif len(statistics) < STATISTICS_BLOBS:
            yield Fault(
                layer, f"it has {len(statistics)} param with lr_mult: 0 instead of three", THREE_ZEROS
            )


def _listed(numbers: list[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _scale_after(view: View, number: int) -> pb.LayerParameter | None:
    """The Scale that reads what BatchNorm `number` makes."""
    readers = [view.layers[reader] for reader in view.flow.readers(number)]
    return next((layer for layer in readers if layer.type == "Scale"), None)


@net_rule(
    "bn-scale",
    "warning",
    "BatchNorm without a Scale after it",
    why="Caffe's BatchNorm only normalises; the learned factor and shift of the paper are the Scale layer's part.",
)
def scale_missing(case: NetCase) -> Iterator[Fault]:
    """A warning for those without where others of the net have one; a note for a net that has none on purpose.

    So are the AlexNet and VGG19 of Simon et al. (arXiv 1612.01452), but for the BatchNorm of the images. A net for
    deployment has learned already.
    """
    view = case.views[0]
    if not view.has_loss:
        return
    norms = [(n, layer) for n, layer in batch_norms(view) if not layer.batch_norm_param.scale_bias]
    bare = [layer for number, layer in norms if _scale_after(view, number) is None]
    if not bare:
        return
    deep = [layer for number, layer in norms if not _reads_images(view, number)]
    if all(layer in bare for layer in deep):
        yield Fault(
            bare[0],
            f"no BatchNorm of the net has a Scale after it: {len(bare)} from {bare[0].name} on",
            "none, if it is meant so, as in the AlexNet and VGG19 of arXiv 1612.01452; else add Scale layers",
            severity="note",
        )
        return
    for layer in bare:
        yield Fault(
            layer,
            "no Scale reads what it makes, though other BatchNorm layers have one",
            "add a Scale with scale_param { bias_term: true } in place after it",
        )


def _reads_images(view: View, number: int) -> bool:
    bottom = view.flow.bottoms[number][0] if view.flow.bottoms[number] else None
    return bottom is not None and not view.layers[bottom.maker].bottom


@net_rule(
    "bn-shift",
    "warning",
    "Scale after BatchNorm without bias_term",
    why="BatchNorm takes out every bias before it, so that without the Scale's own nothing is shifted any more.",
)
def shift_missing(case: NetCase) -> Iterator[Fault]:
    """A Bias layer behind the Scale does as well. Caffe's default is bias_term: false."""
    for view in case.views:
        for number, _ in batch_norms(view):
            scale = _scale_after(view, number)
            if scale is None or scale.scale_param.bias_term:
                continue
            behind = view.flow.readers(list(view.layers).index(scale))
            if not any(view.layers[reader].type == "Bias" for reader in behind):
                yield Fault(scale, "it has no bias_term", "write bias_term: true into its scale_param")


@net_rule(
    "bn-small-batch",
    "warning",
    "fewer than 16 images in a forward pass, and BatchNorm's statistics taken over them",
    why="Mean and variance over so few images are too noisy to train well.",
)
def small_batch(case: NetCase) -> Iterator[Fault]:
    """16 is the smallest that Simon et al. trained with. With iter_size > 1 bn-iter-size speaks instead."""
    view = case.training
    if view is None or not _takes_batch_statistics(view):
        return
    if case.solver is not None and case.solver.iter_size > 1:
        return
    for layer in _small_sources(view):
        yield Fault(
            layer,
            f"batch_size is {batch_of(layer)}",
            f"a batch_size of {SMALLEST_BATCH_NORM_BATCH} or more; when fine-tuning, use_global_stats: true",
        )


def _small_sources(view: View) -> list[pb.LayerParameter]:
    return [layer for layer in view.image_layers if 0 < batch_of(layer) < SMALLEST_BATCH_NORM_BATCH]


@solver_rule(
    "bn-iter-size",
    "warning",
    "iter_size taken for BatchNorm's batch",
    why="iter_size adds up gradients of several passes; BatchNorm's mean and variance are those of one pass.",
)
def iter_size(case: SolverCase) -> Iterator[Fault]:
    """Net::Forward runs iter_size times an iteration, each with its own statistics (solver.cpp, Step)."""
    view, passes = case.train, case.solver.iter_size
    if view is None or passes <= 1 or not _takes_batch_statistics(view):
        return
    for layer in _small_sources(view):
        batch = batch_of(layer)
        yield Fault(
            "iter_size",
            f"{passes} passes of {batch} images make a batch of {passes * batch}, "
            f"but BatchNorm sees {batch} at a time",
            f"a batch_size of {SMALLEST_BATCH_NORM_BATCH} or more in layer {layer.name}, and a smaller iter_size; "
            "when fine-tuning, use_global_stats: true",
        )


@net_rule(
    "bn-global-stats",
    "note",
    "use_global_stats: true in training",
    why="Without weights that bring statistics along, mean and variance are 0, and every value is divided by "
    "sqrt(eps), 0.003: times 316.",
)
def global_statistics(case: NetCase) -> Iterator[Fault]:
    """Real Caffe 1.0: ones through an untrained BatchNorm with use_global_stats: true come out as 316.23."""
    view = case.training
    if view is None or not view.has_loss or case.solver is not None:
        return
    frozen = [layer for _, layer in batch_norms(view) if layer.batch_norm_param.use_global_stats]
    if frozen:
        yield Fault(
            frozen[0],
            f"{len(frozen)} BatchNorm layers normalise by stored statistics in training too",
            "begin with trained weights (--weights)",
        )


@solver_rule(
    "bn-global-stats-weights",
    "warning",
    "use_global_stats: true in training, and no word of weights",
    why="Without weights that bring statistics along, mean and variance are 0, and every value is divided by "
    "sqrt(eps), 0.003: times 316.",
)
def global_statistics_without_weights(case: SolverCase) -> Iterator[Fault]:
    """Caffe 1.0 takes weights on the command line; newer ones in the solver too (`weights`, seen working).

    So a comment that speaks of weights is word enough.
    """
    view = case.train
    if view is None or case.solver.weights or _comment_names_weights(case.text):
        return
    if any(layer.batch_norm_param.use_global_stats for _, layer in batch_norms(view)):
        yield Fault(
            None,
            f"the BatchNorm layers of {view.file.path} use stored statistics, and nothing says from which weights",
            'begin with trained weights (--weights), and say so in a comment, or by weights: "W.caffemodel"',
        )


def _comment_names_weights(text: str) -> bool:
    return any("weights" in line.partition("#")[2] for line in text.splitlines())
