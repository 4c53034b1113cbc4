"""Where in a prototxt each layer and each outermost field stands."""

import bisect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.parser import CLOSING
from batchbrew.proto.tokens import END, Token, Tokens

LAYER_FIELDS = ("layer", "layers")  # today's, and those of 2014


@dataclass(frozen=True)
class Outline:
    """Lines count from 1."""

    layers: tuple[tuple[str, int], ...]
    """Name and line of each layer: of its name, or, if it has none, of its beginning."""
    fields: Mapping[str, int]
    """Outermost field → line on which it first stands."""

    def line_of_field(self, name: str) -> int:
        """1 for a field that is not there."""
        return self.fields.get(name, 1)

    def line_of_layer(self, net: pb.NetParameter, layer: pb.LayerParameter) -> int:
        """The line of `layer`, one of `net`'s; 1 for one that the text does not have.

        Of layers with one name, the n-th in the text is the n-th in the net: upgrading puts layers in front.
        """
        same = [other for other in net.layer if other.name == layer.name]
        number = next((n for n, other in enumerate(same) if other is layer), None)
        if number is None:
            number = next((n for n, other in enumerate(same) if other == layer), len(same))
        lines = [line for name, line in self.layers if name == layer.name]
        return lines[number] if number < len(lines) else 1


def read_outline(text: str, name: str) -> Outline:
    """Raises InputError where `text` is no prototxt."""
    tokens = Tokens(text, name)
    starts = [0, *(place + 1 for place, character in enumerate(text) if character == "\n")]
    layers: list[tuple[str, int]] = []
    fields: dict[str, int] = {}
    within: list[str] = []  # names of the fields whose brackets are open
    while tokens.current.kind != END:
        token = tokens.take()
        if token.kind == "symbol" and token.text in CLOSING.values():
            del within[-1:]
        elif token.kind == "identifier" and _is_field(tokens):
            line = bisect.bisect_right(starts, token.start)
            opens = _opens(tokens)
            if not within:
                fields.setdefault(token.text, line)
                if token.text in LAYER_FIELDS:
                    layers.append(("", line))
            elif token.text == "name" and len(within) == 1 and within[0] in LAYER_FIELDS:
                layers[-1] = (_value(tokens), line)
            if opens:
                within.append(token.text)
    return Outline(tuple(layers), fields)


def kind_of(outline: Outline) -> type[pb.NetParameter] | type[pb.SolverParameter] | None:
    """What the outermost fields are those of; None where they do not tell."""
    kinds = (pb.NetParameter, pb.SolverParameter)
    known = Counter(
        {kind: sum(name in kind.DESCRIPTOR.fields_by_name for name in outline.fields) for kind in kinds}
    )
    (best, most), (_, second) = known.most_common()
    return best if most > second else None


def _is_field(tokens: Tokens) -> bool:
    return tokens.current.kind == "symbol" and tokens.current.text in (":", *CLOSING)


def _opens(tokens: Tokens) -> bool:
    """Take what follows a field's name; is it a bracket?"""
    tokens.take_if(":")
    return tokens.take_if(*CLOSING) is not None


def _value(tokens: Tokens) -> str:
    token: Token = tokens.current
    return tokens.content(token).decode("utf-8", "replace") if token.kind == "string" else ""
