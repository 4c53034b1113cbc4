"""Layers that move numbers about, or pick some: reshaping, slicing, joining, reducing."""

from math import prod

from batchbrew.nets.shapes.axes import canonical_axis, count
from batchbrew.nets.shapes.registry import (
    SOME,
    TWO,
    TWO_OR_MORE,
    Answer,
    Refusal,
    Shape,
    Site,
    by,
    layer_rule,
)
from batchbrew.proto import caffe_pb2 as pb


@layer_rule("Reshape", in_place=False)
def reshape(at: Site) -> Answer:
    """The same numbers under another shape: 0 copies a length of the bottom, one -1 is worked out."""
    parameter, shape = at.layer.reshape_param, at.bottoms[0]
    start = parameter.axis if parameter.axis >= 0 else len(shape) + parameter.axis + 1
    end = len(shape) if parameter.num_axes == -1 else start + parameter.num_axes
    if not 0 <= start <= end <= len(shape):
        raise Refusal(
            f"axis {parameter.axis} and num_axes {parameter.num_axes} do not fit its bottom, {by(shape)}"
        )
    asked = list(parameter.shape.dim)
    if asked.count(-1) > 1:
        raise Refusal(f"shape {asked} has more than one -1")
    lengths = [_copied(shape, start + index) if dim == 0 else dim for index, dim in enumerate(asked)]
    if -1 in lengths:
        others = prod(shape[:start]) * prod(shape[end:]) * prod(dim for dim in lengths if dim != -1)
        if not others or prod(shape) % others:
            raise Refusal(
                f"cannot make {asked} of its bottom, {by(shape)}: {others} does not divide {prod(shape)}"
            )
        lengths[lengths.index(-1)] = prod(shape) // others
    top = (*shape[:start], *lengths, *shape[end:])
    if prod(top) != prod(shape):
        raise Refusal(
            f"makes {by(top)}, {prod(top)} numbers, of its bottom, {by(shape)}, {prod(shape)} numbers"
        )
    return Answer([top], shares_data=True)


def _copied(shape: Shape, axis: int) -> int:
    if axis >= len(shape):
        raise Refusal(f"has a 0 where its bottom, {by(shape)}, has no axis to copy")
    return shape[axis]


@layer_rule("Flatten", in_place=False)
def flatten(at: Site) -> Answer:
    """The axes from `axis` to `end_axis` as one."""
    parameter, shape = at.layer.flatten_param, at.bottoms[0]
    start = canonical_axis(shape, parameter.axis)
    end = canonical_axis(shape, parameter.end_axis, "end_axis") + 1
    if start > end:
        raise Refusal(f"axis {parameter.axis} lies behind end_axis {parameter.end_axis}")
    return Answer([(*shape[:start], count(shape, start, end), *shape[end:])], shares_data=True)


@layer_rule("Concat", bottoms=SOME)
def concat(at: Site) -> Answer:
    """Blobs one behind the other along an axis."""
    shape = at.bottoms[0]
    axis = concat_axis(at.layer.concat_param, shape)
    for index, other in enumerate(at.bottoms):
        if len(other) != len(shape) or any(other[i] != shape[i] for i in range(len(shape)) if i != axis):
            raise Refusal(
                f"bottom {at.layer.bottom[index]} is {by(other)}, but {at.layer.bottom[0]} is {by(shape)}: "
                f"they may differ along axis {axis} only"
            )
    length = sum(other[axis] for other in at.bottoms)
    return Answer([(*shape[:axis], length, *shape[axis + 1 :])], shares_data=len(at.bottoms) == 1)


def concat_axis(parameter: pb.ConcatParameter, shape: Shape) -> int:
    """The axis along which blobs are joined. Raises Refusal if `shape` has none such."""
    return _axis_or_dim(
        shape,
        parameter.axis if parameter.HasField("axis") else None,
        parameter.concat_dim if parameter.HasField("concat_dim") else None,
        "concat_dim",
    )


@layer_rule("Slice", tops=SOME)
def slice_(at: Site) -> Answer:
    """Pieces along an axis, equal ones or cut at slice_point."""
    parameter, shape = at.layer.slice_param, at.bottoms[0]
    axis = slice_axis(parameter, shape)
    length, points = shape[axis], list(parameter.slice_point)
    if points:
        if len(points) != at.tops - 1:
            raise Refusal(f"has {len(points)} slice_point for {at.tops} tops: one fewer than tops is needed")
        if sorted({0, *points}) != [0, *points] or points[-1] > length:
            raise Refusal(
                f"slice_point {points} must rise, between 0 and {length}, the length of axis {axis}"
            )
        pieces = [high - low for low, high in zip([0, *points], [*points, length], strict=True)]
    elif length % at.tops:
        raise Refusal(
            f"cannot cut axis {axis} of length {length} into {at.tops} equal tops: give slice_point"
        )
    else:
        pieces = [length // at.tops] * at.tops
    return Answer([(*shape[:axis], piece, *shape[axis + 1 :]) for piece in pieces], shares_data=at.tops == 1)


def slice_axis(parameter: pb.SliceParameter, shape: Shape) -> int:
    """The axis along which the blob is cut. Raises Refusal if `shape` has none such."""
    return _axis_or_dim(
        shape,
        parameter.axis if parameter.HasField("axis") else None,
        parameter.slice_dim if parameter.HasField("slice_dim") else None,
        "slice_dim",
    )


def _axis_or_dim(shape: Shape, axis: int | None, dim: int | None, dim_field: str) -> int:
    """`axis`, or its older spelling, which is never negative; if neither is given, the channels."""
    if axis is not None and dim is not None:
        raise Refusal(f"takes axis or {dim_field}, not both")
    return (
        canonical_axis(shape, 1 if axis is None else axis)
        if dim is None
        else canonical_axis(shape, dim, dim_field)
    )


@layer_rule("Tile")
def tile(at: Site) -> Answer:
    """The bottom, several times along an axis."""
    parameter, shape = at.layer.tile_param, at.bottoms[0]
    axis = canonical_axis(shape, parameter.axis)
    if parameter.tiles < 1:
        raise Refusal("tiles must be given, 1 or more")
    return Answer([(*shape[:axis], shape[axis] * parameter.tiles, *shape[axis + 1 :])])


@layer_rule("Crop", bottoms=TWO)
def crop(at: Site) -> Answer:
    """The first bottom, cut to the size of the second from `axis` on."""
    parameter, (shape, reference) = at.layer.crop_param, at.bottoms
    start = canonical_axis(shape, parameter.axis)
    offsets = crop_offsets(parameter, shape)
    if len(reference) < len(shape):
        raise Refusal(f"bottom {at.layer.bottom[1]}, {by(reference)}, has fewer axes than {by(shape)}")
    for axis in range(start, len(shape)):
        if shape[axis] - offsets[axis] < reference[axis]:
            raise Refusal(
                f"cannot cut {reference[axis]} from offset {offsets[axis]} on out of the {shape[axis]} of axis {axis}"
            )
    return Answer([(*shape[:start], *reference[start : len(shape)])])


def crop_offsets(parameter: pb.CropParameter, shape: Shape) -> list[int]:
    """Where along each axis of the first bottom its cut begins. Raises Refusal for a wrong number of offsets."""
    start = canonical_axis(shape, parameter.axis)
    behind, offsets = len(shape) - start, list(parameter.offset) or [0]
    if len(offsets) not in (1, behind):
        raise Refusal(f"has {len(offsets)} values of offset: give one, or {behind}, one for each axis")
    return [0] * start + (offsets * behind if len(offsets) == 1 else offsets)


@layer_rule("Reduction")
def reduction(at: Site) -> Answer:
    """One number for all from `axis` on."""
    axis = canonical_axis(at.bottoms[0], at.layer.reduction_param.axis)
    return Answer([at.bottoms[0][:axis]])


@layer_rule("ArgMax")
def arg_max(at: Site) -> Answer:
    """Where the largest are: along an axis, or in each image as a whole."""
    parameter, shape = at.layer.argmax_param, at.bottoms[0]
    whole = not parameter.HasField("axis")
    if not shape:
        raise Refusal("takes a blob with an axis of images (N×...), not a single number")
    axis = 1 if whole else canonical_axis(shape, parameter.axis)
    among = count(shape, 1) if whole else shape[axis]
    if not 1 <= parameter.top_k <= among:
        raise Refusal(f"top_k must be from 1 to {among}, not {parameter.top_k}")
    if not whole:
        return Answer([(*shape[:axis], parameter.top_k, *shape[axis + 1 :])])
    rows = 2 if parameter.out_max_val else 1
    return Answer([(shape[0], rows, parameter.top_k, *[1] * (len(shape) - 3))])


@layer_rule("Filter", bottoms=TWO_OR_MORE, tops=SOME)
def filter_(at: Site) -> Answer:
    """Those items of the bottoms that the last bottom selects; before data has come Caffe expects all of them."""
    *blobs, selector = at.bottoms
    if at.tops != len(blobs):
        raise Refusal(f"takes a top for each bottom but the last: {len(blobs)}, not {at.tops}")
    if prod(selector[1:]) != 1 or not selector:
        raise Refusal(f"bottom {at.layer.bottom[-1]} must be one number for each item, not {by(selector)}")
    for name, shape in zip(at.layer.bottom, blobs, strict=False):
        if shape[:1] != selector[:1]:
            raise Refusal(f"bottom {name} is {by(shape)}, but selected from are {selector[0]} items")
    return Answer(blobs, note="how many items pass depends on the data; all are counted")


@layer_rule("BatchReindex", bottoms=TWO, in_place=False)
def batch_reindex(at: Site) -> Answer:
    """Items of the first bottom by the indices in the second."""
    shape, indices = at.bottoms
    if not shape:
        raise Refusal(f"bottom {at.layer.bottom[0]} must have an axis of items, and is a single number")
    if len(indices) != 1:
        raise Refusal(f"bottom {at.layer.bottom[1]} must have one axis, not {by(indices)}")
    return Answer([(indices[0], *shape[1:])])
