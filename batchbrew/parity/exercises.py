"""From a specimen to a case: which phase, how many passes, which gradients, what is in all the blobs.

How gradients are asked for is drawn too, as each way takes another path through Caffe:
- `forced`: force_backward, and random numbers as the tops' diffs;
- `weighted`: bottoms that come from layers that learn (a Bias of 0: their numbers stay the same), a loss_weight on
  each top, and mostly a propagate_down for each bottom;
- `plain`: nothing of that: the layer is not under a loss, and what is computed backward is Caffe's to decide.
"""

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np

from batchbrew.nets.shapes import NetworkShapes, ShapeError, UnknownInputError, infer_shapes
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.parameters import parameter_values
from batchbrew.parity.specimens.chance import Bottom, Specimen, maybe
from batchbrew.parity.specimens.specimens import specimen
from batchbrew.parity.specimens.values import Array, usual
from batchbrew.proto import caffe_pb2 as pb

# With force_backward these are asked for gradients that they cannot give, and end Caffe (all have one bottom at
# least that has none). The others of that kind spare it: their AllowForceBackward says so.
DIES_WHEN_FORCED = {"Accuracy", "ArgMax", "BatchReindex", "Embed", "Filter", "InfogainLoss", "Threshold"}
# These remember something from one pass to the next.
KEEPS_STATE = {"BatchNorm", "LSTM", "RNN"}
# Their first axis is not the images, or they say themselves how long it is.
ONE_SIZE = {"LSTM", "RNN", "Reshape", "Slice"}
NORMALISING = {"BatchNorm", "MVN", "Softmax"}
LEARNED = "learned"
RESIZED = 0.15  # how often a later pass brings another number of images


def layer_case(kind: str, seed: int, number: int) -> Case:
    """The case of that layer type, seed and number: the same every time."""
    made, net = specimen(kind, seed, number)
    random = Random(f"{seed} {kind} {number} exercise")
    generator = np.random.default_rng(random.getrandbits(64))
    phase = pb.TRAIN if maybe(random, 0.5) else pb.TEST
    way = _way(random, kind, made)
    _ask_for_gradients(random, way, made, net)
    try:
        built = infer_shapes(net, phase)
    except ShapeError:
        built = None  # Caffe should refuse it, too: there is nothing to fill
    bottoms: Sequence[Bottom] = made.bottoms
    passes = []
    for index in range(random.randint(2, 3) if kind in KEEPS_STATE else random.choice([1, 1, 2])):
        if index and way != "weighted" and kind not in ONE_SIZE and maybe(random, RESIZED):
            bottoms, built = _another_batch(random, net, phase, bottoms, built)
        data = {
            name: each.values(generator, each.shape)
            for name, each in zip(net.layer[0].top, bottoms, strict=False)
        }
        diffs = _diffs(random, generator, way, made, built, data)
        passes.append(Pass(data, diffs, backward=not made.forward_only, clear=maybe(random, 0.7)))
    return Case(
        kind=kind,
        seed=seed,
        number=number,
        net=net,
        phase=phase,
        passes=passes,
        parameters=_parameters(built, generator),
        memory=_memory(generator, net),
        random=kind == "Dropout" and phase == pb.TRAIN,
    )


def _way(random: Random, kind: str, made: Specimen) -> str:
    if not made.bottoms and kind != "Parameter":
        return "plain"
    if not any(bottom.gradient for bottom in made.bottoms) and kind not in ("Embed", "Parameter"):
        return "forced" if maybe(random, 0.05) else "plain"
    ways = (
        ["weighted", "weighted", "plain"]
        if kind in DIES_WHEN_FORCED
        else ["forced"] * 5 + ["weighted"] * 3 + ["plain"]
    )
    return random.choice(ways)


def _ask_for_gradients(random: Random, way: str, made: Specimen, net: pb.NetParameter) -> None:
    layer = net.layer[-1]
    if way == "forced":
        net.force_backward = True
    if way != "weighted":
        return
    is_loss = layer.type.endswith("Loss")
    if layer.top and not layer.loss_weight and (not is_loss or maybe(random, 0.5)):
        layer.loss_weight.extend(random.choice([1, 0.5, -2]) for _ in layer.top)
    if maybe(random, 0.7):
        layer.propagate_down.extend(maybe(random, 0.8 if each.gradient else 0.02) for each in made.bottoms)
    _learn_bottoms(random, made, net)


def _learn_bottoms(random: Random, made: Specimen, net: pb.NetParameter) -> None:
    """Put a Bias before bottoms that have a gradient: what is not learned from needs none."""
    biases = []
    for index, bottom in enumerate(made.bottoms):
        if bottom.gradient and maybe(random, 0.85):
            top, raw = f"in{index}", f"raw{index}"
            net.layer[0].top[index] = raw
            every_number = pb.BiasParameter(axis=0, num_axes=-1)
            biases.append(
                pb.LayerParameter(
                    name=f"{LEARNED}{index}", type="Bias", bottom=[raw], top=[top], bias_param=every_number
                )
            )
    last = pb.LayerParameter.FromString(net.layer[-1].SerializeToString())
    del net.layer[-1]
    net.layer.extend([*biases, last])


def _parameters(built: NetworkShapes | None, generator: np.random.Generator) -> dict[tuple[str, int], Array]:
    if built is None:
        return {}
    values = parameter_values(built, generator)
    return {
        (layer, blob): np.zeros_like(array) if layer.startswith(LEARNED) else array
        for (layer, blob), array in values.items()
    }


def _diffs(
    random: Random,
    generator: np.random.Generator,
    way: str,
    made: Specimen,
    built: NetworkShapes | None,
    data: Mapping[str, Array],
) -> dict[str, Array]:
    """Random gradients of the layer's tops, or none: those of a loss_weight are then seen.

    A loss_weight's are all alike. What normalises answers that with an exact 0, or what rounding makes of it: there
    they are always random.
    """
    has_none = not made.bottoms and made.layer.type != "Parameter"
    if built is None or has_none or (way == "plain" and maybe(random, 0.7)):
        return {}
    if way == "weighted" and made.layer.type not in NORMALISING and maybe(random, 0.5):
        return {}
    tops = {name: shape for name, shape in built.layers[-1].tops.items() if not name.startswith("(")}
    if made.layer.type == "Filter":  # its tops are as long as there are ones in its last bottom
        length = int(list(data.values())[-1].sum())
        tops = {name: (length, *shape[1:]) for name, shape in tops.items() if length}
    return {name: usual(generator, shape) for name, shape in tops.items()}


def _another_batch(
    random: Random,
    net: pb.NetParameter,
    phase: int,
    bottoms: Sequence[Bottom],
    built: NetworkShapes | None,
) -> tuple[Sequence[Bottom], NetworkShapes | None]:
    """Bottoms of which all have other first axes, if the net can be reshaped to them as it is."""
    by = random.choice([-1, 1, 2])
    if built is None or any(bottom.shape[0] + by < 1 for bottom in bottoms):
        return bottoms, built
    other = [Bottom((each.shape[0] + by, *each.shape[1:]), each.values, each.gradient) for each in bottoms]
    changed = pb.NetParameter.FromString(net.SerializeToString())
    for index, each in enumerate(other):
        changed.layer[0].input_param.shape[index].CopyFrom(pb.BlobShape(dim=each.shape))
    try:
        reshaped = infer_shapes(changed, phase)
    except ShapeError:
        return bottoms, built
    parameters = [layer.parameters for layer in built.layers]
    if parameters != [layer.parameters for layer in reshaped.layers]:
        return bottoms, built
    return other, reshaped


def _memory(generator: np.random.Generator, net: pb.NetParameter) -> tuple[Array, Array] | None:
    """Two batches of images and labels for a MemoryData layer."""
    layer = net.layer[-1]
    parameter = layer.memory_data_param
    if layer.type != "MemoryData" or not parameter.height:
        return None
    images = 2 * parameter.batch_size
    shape = (images, parameter.channels, parameter.height, parameter.width)
    return usual(generator, shape), np.asarray(generator.integers(0, 10, images), np.float32)


def is_expected_to_be_built(case: Case) -> bool:
    """Say our rules of shapes that Caffe builds the net? What they cannot know, they do not object to."""
    try:
        infer_shapes(case.net, case.phase)
    except UnknownInputError:
        return True
    except ShapeError:
        return False
    return True
