"""What data layers do to images: mean, scale, mirror, crop."""

from collections.abc import Iterator

from batchbrew.lint.image_contents import batch_of
from batchbrew.lint.registry import Fault, NetCase, net_rule
from batchbrew.proto import caffe_pb2 as pb


def _subtracts_mean(layer: pb.LayerParameter) -> bool:
    return bool(layer.transform_param.mean_file or layer.transform_param.mean_value)


@net_rule(
    "mean-and-input-bn",
    "warning",
    "a mean (or a scale) in front of a BatchNorm on the images",
    why="The BatchNorm takes out any mean and scale; weights trained on raw pixels, such as the released ones, get "
    "wrong statistics.",
)
def mean_and_input_bn(case: NetCase) -> Iterator[Fault]:
    """A scale alone is a note."""
    for view in case.views:
        for layer in view.image_layers:
            readers = view.flow.readers(list(view.layers).index(layer))
            norms = [
                view.layers[reader].name for reader in readers if view.layers[reader].type == "BatchNorm"
            ]
            if not norms:
                continue
            if _subtracts_mean(layer):
                yield Fault(
                    layer,
                    f"it subtracts a mean, and {norms[0]} normalises what it makes",
                    "take mean_file and mean_value out of transform_param, or the BatchNorm out of the net",
                )
            elif layer.transform_param.scale != 1:
                yield Fault(
                    layer,
                    f"it multiplies by {layer.transform_param.scale:g}, and {norms[0]} normalises what it makes",
                    "take scale out of transform_param",
                    severity="note",
                )


@net_rule(
    "test-mirror",
    "warning",
    "mirror: true in TEST",
    why="Caffe mirrors at random in TEST too, so that two tests of the same weights differ; crops it takes from the "
    "centre there.",
)
def test_mirror(case: NetCase) -> Iterator[Fault]:
    """DataTransformer asks for the phase when it crops, not when it mirrors; seen in real Caffe."""
    for view in case.views:
        if view.training:
            continue
        for layer in view.layers:
            if layer.transform_param.mirror:
                yield Fault(
                    layer,
                    "it mirrors at random in TEST",
                    "write mirror: false, in a layer of its own with include { phase: TEST }",
                )


@net_rule(
    "crop",
    "error",
    "crop_size larger than the images, or none where their sizes differ",
    why="Caffe ends when it reads the first such image.",
)
def crop(case: NetCase) -> Iterator[Fault]:
    """Real Caffe: "Check failed: datum_height >= crop_size", "datum_width == width"."""
    for view in case.views:
        for layer in view.image_layers:
            yield from _crop_of(case, layer)


def _crop_of(case: NetCase, layer: pb.LayerParameter) -> Iterator[Fault]:
    side = layer.transform_param.crop_size
    resized = layer.image_data_param
    if layer.type == "ImageData" and resized.new_height and resized.new_width:
        height, width = resized.new_height, resized.new_width
        if side > min(height, width):
            yield Fault(
                layer,
                f"crop_size is {side}, but the images are made {height}×{width} (height × width)",
                "a smaller crop_size, or larger new_height and new_width",
            )
        return
    contents = case.sources.contents(layer)
    if contents is None or not contents.sizes:
        return
    too_small = [size for size in contents.sizes if min(size) < side]
    if too_small:
        height, width = min(too_small, key=min)
        yield Fault(
            layer,
            f"crop_size is {side}, but {layer.data_param.source} has images of {height}×{width} (height × width)",
            "a smaller crop_size, or an LMDB of larger images",
        )
    elif not side and len(contents.sizes) > 1 and batch_of(layer) > 1:
        (first, _), (second, _) = contents.sizes.most_common(2)
        yield Fault(
            layer,
            f"there is no crop_size, and the images of {layer.data_param.source} differ in size: "
            f"{first[0]}×{first[1]} and {second[0]}×{second[1]}",
            "a crop_size, or an LMDB of images of one size",
        )


@net_rule(
    "phases-differ",
    "warning",
    "training and test images prepared differently",
    why="The net is tested with images unlike those that it learned from.",
)
def phases_differ(case: NetCase) -> Iterator[Fault]:
    """Of the first image layers of both phases: mean, scale, colour, crop."""
    train = next((view for view in case.views if view.training), None)
    test = next((view for view in case.views if not view.training), None)
    layers = [view.image_layers[0] for view in (train, test) if view is not None and view.image_layers]
    if len(layers) < 2:
        return
    ours, theirs = (_preparation(layer) for layer in layers)
    for field, value in ours.items():
        if value != theirs[field]:
            yield Fault(
                layers[1],
                f"{field} is {_shown(theirs[field])} in TEST, and {_shown(value)} in TRAIN",
                f"the same {field} in both",
            )


def _preparation(layer: pb.LayerParameter) -> dict[str, object]:
    transform = layer.transform_param
    return {
        "mean_file": transform.mean_file,
        "mean_value": list(transform.mean_value),
        "scale": transform.scale,
        "force_color": transform.force_color,
        "force_gray": transform.force_gray,
        "crop_size": transform.crop_size,
    }


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value not in ("", [], 0) else "not given"
