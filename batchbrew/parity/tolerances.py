"""How far apart may two engines' numbers be? By the precision in which ours computes."""

from dataclasses import dataclass

from batchbrew.parity.case import Case

# What set_precision("bf16") makes round: these, and in a net whatever lies between them.
ROUNDED_TYPES = {"Convolution", "Deconvolution", "InnerProduct"}


@dataclass(frozen=True)
class Tolerances:
    """`forward`: data of blobs, and what layers collect in their parameters; `gradient`: diffs of blobs and parameters.

    `roughly`: are numbers compared as bfloat16 allows? (compare.py)
    """

    forward: float
    gradient: float
    roughly: bool = False


BF16 = "bf16"
FP32 = Tolerances(1e-5, 1e-4)
BF16_LAYER = Tolerances(2**-6, 2**-6, roughly=True)
BF16_NET = Tolerances(2**-5, 2**-3, roughly=True)


def tolerances_of(case: Case, precision: str | None) -> Tolerances:
    """Those of the case; layers that compute in float32 in any precision keep theirs."""
    if precision != BF16 or not any(layer.type in ROUNDED_TYPES for layer in case.net.layer):
        return FP32
    return BF16_NET if case.several_layers else BF16_LAYER
