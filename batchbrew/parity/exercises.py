"""From a specimen to a case: which phase, how many passes, which gradients, what is in all the blobs.

How gradients are asked for is drawn too, as each way takes another path through Caffe:
- `forced`: force_backward, and random numbers as the tops' diffs;
- `weighted`: a loss_weight on each top and a propagate_down for each bottom;
- `plain`: nothing of that: the layer is not under a loss, and what is computed backward is Caffe's to decide.
"""

from collections.abc import Sequence
from random import Random
from zlib import crc32

import numpy as np

from batchbrew.nets.shapes import NetworkShapes, ShapeError, infer_shapes
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.parameters import parameter_values
from batchbrew.parity.specimens.chance import Bottom, Specimen, maybe
from batchbrew.parity.specimens.specimens import LAYER, specimen
from batchbrew.parity.specimens.values import Array, usual
from batchbrew.proto import caffe_pb2 as pb

# With force_backward these are asked for gradients that they cannot give, and end Caffe (all have one bottom at
# least that has none). The others of that kind spare it: their AllowForceBackward says so.
DIES_WHEN_FORCED = {"Accuracy", "ArgMax", "BatchReindex", "Embed", "Filter", "InfogainLoss", "Threshold"}
# These remember something from one pass to the next.
KEEPS_STATE = {"BatchNorm", "LSTM", "RNN"}
RESIZABLE = 0.15  # how often a later pass brings another number of images


def generator_for(random: Random) -> np.random.Generator:
    return np.random.default_rng(random.getrandbits(64))


def layer_case(kind: str, seed: int, number: int) -> Case:
    """The case of that layer type, seed and number: the same every time."""
    made, net = specimen(kind, seed, number)
    random = Random(f"{seed} {kind} {number} exercise")
    generator = generator_for(random)
    phase = pb.TRAIN if maybe(random, 0.5) else pb.TEST
    way = _way(random, kind, made)
    try:
        built = infer_shapes(net, phase)
    except ShapeError:
        built = None  # Caffe should refuse it, too: there is nothing to fill
    _ask_for_gradients(random, way, made, net)
    bottoms: Sequence[Bottom] = made.bottoms
    count = random.randint(2, 3) if kind in KEEPS_STATE else random.choice([1, 1, 2])
    passes = []
    for index in range(count):
        if index and maybe(random, RESIZABLE):
            bottoms, built = _another_batch(random, net, phase, bottoms, built)
        passes.append(_one_pass(random, generator, way, bottoms, built))
    return Case(
        kind=kind,
        seed=seed,
        number=number,
        net=net,
        phase=phase,
        passes=passes,
        parameters=parameter_values(built, generator) if built else {},
        memory=_memory(generator, net),
        random=_random_blobs(net, phase),
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
    if not layer.loss_weight and (not is_loss or maybe(random, 0.5)) and layer.top:
        layer.loss_weight.extend(random.choice([1, 0.5, -2]) for _ in layer.top)
    if maybe(random, 0.9) or not any(bottom.gradient for bottom in made.bottoms):
        layer.propagate_down.extend(
            (bottom.gradient and maybe(random, 0.8)) or (not bottom.gradient and maybe(random, 0.02))
            for bottom in made.bottoms
        )


def _one_pass(
    random: Random,
    generator: np.random.Generator,
    way: str,
    bottoms: Sequence[Bottom],
    built: NetworkShapes | None,
) -> Pass:
    data = {f"in{index}": each.values(generator, each.shape) for index, each in enumerate(bottoms)}
    diffs: dict[str, Array] = {}
    if built is not None and (way == "forced" or (way == "plain" and maybe(random))):
        tops = built.layers[-1].tops
        diffs = {name: usual(generator, shape) for name, shape in tops.items() if not name.startswith("(")}
    return Pass(data, diffs, clear=maybe(random, 0.7))


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
    same = all(
        one.parameters == two.parameters for one, two in zip(built.layers, reshaped.layers, strict=True)
    )
    return (other, reshaped) if same and net.layer[-1].type not in ("Reshape", "Slice") else (bottoms, built)


def _memory(generator: np.random.Generator, net: pb.NetParameter) -> tuple[Array, Array] | None:
    """Two batches of images and labels for a MemoryData layer."""
    layer = net.layer[-1]
    parameter = layer.memory_data_param
    if layer.type != "MemoryData" or not parameter.height:
        return None
    images = 2 * parameter.batch_size
    shape = (images, parameter.channels, parameter.height, parameter.width)
    return usual(generator, shape), np.asarray(generator.integers(0, 10, images), np.float32)


def _random_blobs(net: pb.NetParameter, phase: int) -> frozenset[str]:
    layer = net.layer[-1]
    if layer.type == "Dropout" and phase == pb.TRAIN:
        return frozenset({*layer.bottom, *layer.top})
    return frozenset()


def is_expected_to_be_built(case: Case) -> bool:
    """Says our rules of shapes that Caffe builds the net?"""
    try:
        infer_shapes(case.net, case.phase)
    except ShapeError:
        return False
    return True


def fingerprint(text: str) -> int:
    """A number for a word, the same on every machine."""
    return crc32(text.encode())


assert LAYER
