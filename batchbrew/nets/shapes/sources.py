"""Layers that no blob goes into: where images, labels and numbers come from. And Python layers."""

from batchbrew.nets.shapes.registry import (
    ANY,
    NONE,
    ONE_OR_TWO,
    SOME,
    TWO,
    Answer,
    NotTold,
    Refusal,
    Shape,
    Site,
    by,
    layer_rule,
)  # fmt: skip

COLOURS = 3


@layer_rule("Input", bottoms=NONE, tops=SOME)
def input_(at: Site) -> Answer:
    """As the prototxt says: a shape for each top, or one for all."""
    shapes = [tuple(shape.dim) for shape in at.layer.input_param.shape]
    if not shapes:
        return Answer([_given(at, index) for index in range(at.tops)])
    return Answer(_spread(at, shapes, "input_param { shape: }"))


@layer_rule("DummyData", bottoms=NONE, tops=SOME)
def dummy_data(at: Site) -> Answer:
    """Constants or random numbers."""
    parameter = at.layer.dummy_data_param
    if len(parameter.data_filler) not in (0, 1, at.tops):
        raise Refusal(f"has {len(parameter.data_filler)} data_filler: give none, one, or one for each top")
    shapes = [tuple(shape.dim) for shape in parameter.shape]
    sides = [
        list(values) for values in (parameter.num, parameter.channels, parameter.height, parameter.width)
    ]
    if not any(sides):
        return Answer(_spread(at, shapes, "dummy_data_param { shape: }"))
    if shapes or any(len(values) not in (1, at.tops) for values in sides):
        raise Refusal("takes shape, or num, channels, height and width, each once or for each top")
    old = [tuple(v[index % len(v)] for v in sides) for index in range(at.tops)]
    return Answer(_spread(at, old, "num"))


@layer_rule("MemoryData", bottoms=NONE, tops=TWO)
def memory_data(at: Site) -> Answer:
    """Images and labels that a program puts there."""
    parameter = at.layer.memory_data_param
    sizes = (parameter.batch_size, parameter.channels, parameter.height, parameter.width)
    if min(sizes) < 1:
        raise Refusal(f"needs batch_size, channels, height and width, 1 or more each, not {by(sizes)}")
    shape = _replaced(at, sizes)
    return Answer([shape, shape[:1]])


@layer_rule("Data", bottoms=NONE, tops=ONE_OR_TWO)
def data(at: Site) -> Answer:
    """Images, and their labels, from an LMDB or LevelDB."""
    transform = at.layer.transform_param
    channels = COLOURS if transform.force_color else 1 if transform.force_gray else None
    return _images(at, at.layer.data_param.batch_size, channels)


@layer_rule("ImageData", bottoms=NONE, tops=TWO)
def image_data(at: Site) -> Answer:
    """Images, and their labels, from a list of files."""
    parameter = at.layer.image_data_param
    new_size = (parameter.new_height, parameter.new_width)
    if (new_size[0] > 0) != (new_size[1] > 0):
        raise Refusal(f"needs new_height and new_width, or neither, not {by(new_size)}")
    resized = new_size if new_size[0] else None
    return _images(at, parameter.batch_size, COLOURS if parameter.is_color else 1, resized)


@layer_rule("WindowData", bottoms=NONE, tops=TWO)
def window_data(at: Site) -> Answer:
    """Boxes of images, warped to a square."""
    parameter = at.layer.window_data_param
    side = at.layer.transform_param.crop_size or parameter.crop_size
    if side < 1:
        raise Refusal("crop_size must be given: the side to which boxes are warped")
    shape = _replaced(at, (_batch(at, parameter.batch_size), COLOURS, side, side))
    return Answer([shape, shape[:1]], note="its images are taken to be in colour")


@layer_rule("HDF5Data", bottoms=NONE, tops=SOME)
@layer_rule("Python", bottoms=ANY, tops=ANY)
def not_told(at: Site) -> Answer:
    """Only a file, or a program, knows."""
    return Answer([_given(at, index) for index in range(at.tops)])


def _images(
    at: Site, batch_images: int, channels: int | None, resized: tuple[int, int] | None = None
) -> Answer:
    """Images of one size: as cropped, else as resized, else as the first of them is."""
    batch = _batch(at, batch_images)
    if at.layer.top[0] in at.known.shapes:
        shape = at.known.shapes[at.layer.top[0]]
        return Answer([shape, shape[:1]][: at.tops])
    crop = at.layer.transform_param.crop_size
    first = None if resized and channels else at.known.first_image(at.layer)
    stored = resized or ((first.height, first.width) if first else None)
    if crop and stored and not at.known.size and crop > min(stored):
        raise Refusal(f"crop_size {crop} is larger than its first image, which is {by(stored)}")
    size = at.known.size or ((crop, crop) if crop else stored)
    if size is None:
        raise NotTold("does not say how large its images are, and its source is not there: give --size H,W")
    note = None
    if first is not None:
        channels = first.channels  # force_color and force_gray are for encoded images alone
    elif channels is None:
        channels = _channels_of_mean(at)
    if channels is None:
        channels, note = COLOURS, "its source is not there; its images are taken to be in colour"
    return Answer([(batch, channels, *size), (batch,)][: at.tops], note=note)


def _channels_of_mean(at: Site) -> int | None:
    """A mean for each channel tells their number; a single one does not."""
    means = len(at.layer.transform_param.mean_value)
    return means if means > 1 else None


def _batch(at: Site, batch_images: int) -> int:
    if at.known.batch:
        return at.known.batch
    if batch_images < 1:
        raise Refusal("batch_size must be given, 1 or more")
    return batch_images


def _spread(at: Site, shapes: list[Shape], field: str) -> list[Shape]:
    """A shape for each top, where the prototxt gives one for all or one each."""
    if len(shapes) not in (1, at.tops):
        raise Refusal(f"has {len(shapes)} {field} for {at.tops} tops: give one for all, or one for each")
    each = shapes * at.tops if len(shapes) == 1 else shapes
    given = at.known.shapes
    return [given.get(name) or _replaced(at, shape) for name, shape in zip(at.layer.top, each, strict=True)]


def _replaced(at: Site, shape: Shape) -> Shape:
    if at.known.batch and shape:
        shape = (at.known.batch, *shape[1:])
    if at.known.size and len(shape) == 4:
        shape = (*shape[:2], *at.known.size)
    return shape


def _given(at: Site, index: int) -> Shape:
    name = at.layer.top[index]
    shape = at.known.shapes.get(name)
    if shape is None:
        raise NotTold(f"does not tell the shape of its top {name}: give it as --shape {name}=N,C,H,W")
    return shape
