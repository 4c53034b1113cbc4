"""Whose gradients mean anything? Real Caffe keeps intermediate numbers in diffs of blobs that want no gradient.

A blob wants one if a layer that learns made it, or made one that it was made of (Net::Init works it out so);
`propagate_down` overrules that for one reader, and force_backward for all. What lies in the diffs of other blobs is
left over from computing something else (Scale puts products there, LRN ratios), and is nobody's business.
"""

from batchbrew.nets.shapes import LayerShapes, ShapeError, infer_shapes
from batchbrew.parity.case import Case


def unwanted_diffs(case: Case) -> set[str]:
    """Names of blobs whose diffs are not compared."""
    if case.net.force_backward:
        return set()
    try:
        layers = infer_shapes(case.net, case.phase).layers
    except ShapeError:
        return set()
    wants: dict[str, bool] = {}
    overruled: set[str] = set()
    for step in layers:
        layer = step.layer
        needs = _learns(step) or any(wants.get(bottom, False) for bottom in layer.bottom)
        overruled.update(
            bottom
            for bottom, down in zip(layer.bottom, layer.propagate_down, strict=False)
            if not down or not wants.get(bottom, False)
        )
        wants.update(dict.fromkeys(layer.top, needs))
    return overruled | {blob for blob, wanted in wants.items() if not wanted}


def _learns(step: LayerShapes) -> bool:
    rates = [each.lr_mult for each in step.layer.param]
    return any(
        not parameter.statistics and (index >= len(rates) or rates[index] != 0)
        for index, parameter in enumerate(step.parameters)
    )
