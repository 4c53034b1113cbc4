"""Which layers Caffe runs backward (net.cpp, Net::Init), and who spoils what they read there."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from batchbrew.lint.backward_reads import InPlace, backward_reads, learns
from batchbrew.lint.blob_flow import BlobFlow, Content, is_in_place
from batchbrew.lint.views import View, is_loss
from batchbrew.proto import caffe_pb2 as pb

# How many blobs each type learns.
LEARNED_BLOBS = {
    "Bias": 1, "Convolution": 2, "Deconvolution": 2, "Embed": 2, "InnerProduct": 2, "LSTM": 3, "PReLU": 1,
    "Parameter": 1, "RNN": 5, "Scale": 2,
}  # fmt: skip

# Other types multiply what they read of their own top with its gradient, number by number.
WHOLE_TOP = ("MVN",)

# What is positive stays positive, and what is not does not become so; a Dropout's zeros let no gradient through.
KEEPING_SIGNS = ("Dropout", "Swish", "TanH")


class Spoiled(NamedTuple):
    """Layer `layer` reads `content` in its backward pass; `overwriter` has changed it by then."""

    layer: int
    content: Content
    overwriter: int


def runs_backward(view: View) -> list[bool]:
    """For each layer of the view: does a gradient come to it, and something below want one?"""
    flow = view.flow
    wanted: list[bool] = []
    for number, layer in enumerate(view.layers):
        makers = [content.maker for content in flow.bottoms[number] if content is not None]
        wanted.append(_learns_anything(layer) or any(wanted[maker] for maker in makers))
    under_loss = [False] * len(view.layers)
    for number in reversed(range(len(view.layers))):
        above = any(under_loss[reader] for reader in flow.readers(number))
        under_loss[number] = above or is_loss(view.layers[number])
    return [below and above for below, above in zip(wanted, under_loss, strict=True)]


def _learns_anything(layer: pb.LayerParameter) -> bool:
    return any(learns(layer, blob) for blob in range(LEARNED_BLOBS.get(layer.type, 0)))


def spoiled_reads(view: View) -> Iterator[Spoiled]:
    """What backward passes read that is not there any more, because a layer after them worked in place."""
    flow = view.flow
    for number, runs in enumerate(runs_backward(view)):
        if runs:
            of_whole_top = view.layers[number].type in WHOLE_TOP
            for content, demand in _contents_read(flow, number):
                own_top = content.maker == number and not of_whole_top
                harmful = [
                    overwriter
                    for overwriter in content.overwriters
                    if not _is_harmless(view.layers, overwriter, demand, content, own_top)
                ]
                if harmful:
                    yield Spoiled(number, content, harmful[0])


def _contents_read(flow: BlobFlow, number: int) -> Iterator[tuple[Content, InPlace]]:
    """What layer `number` reads backward, and whether all of it ("keep") or its signs must be as they were."""
    layer = flow.layers[number]
    reads = backward_reads(layer)
    if reads is None:
        return
    in_place = is_in_place(layer)
    for place in reads.bottoms:
        content = flow.bottoms[number][place] if place < len(layer.bottom) else None
        if content is not None and not (in_place and place == 0):
            yield content, "keep"
    if in_place and reads.in_place in ("keep", "keep_sign"):
        yield flow.tops[number][0], reads.in_place
    elif not in_place:
        for place in reads.tops:
            if place < len(layer.top):
                yield flow.tops[number][place], "keep"


def _is_harmless(
    layers: Sequence[pb.LayerParameter], number: int, demand: InPlace, content: Content, own_top: bool
) -> bool:
    """Does the overwriter, that layer, change only what no gradient comes back to?

    Where a ReLU or a Dropout makes a 0, the gradient that comes through it is 0 too. Elsewhere a ReLU keeps the
    values, and a Dropout the signs: AlexNet's Dropout after a ReLU, both in place, is right. Were the content
    read by others too, a gradient would come back past the overwriter.
    """
    overwriter = layers[number]
    if any(len(each.readers) > 1 for each in content.until(number)):
        return False
    slope = overwriter.relu_param.negative_slope
    if demand == "keep_sign":
        if overwriter.type == "ELU":
            return overwriter.elu_param.alpha >= 0
        return overwriter.type in KEEPING_SIGNS or (overwriter.type == "ReLU" and slope >= 0)
    return own_top and overwriter.type == "ReLU" and slope == 0
