"""Mutations of prototxts as texts: of their tokens, of whole fields, of braces, of characters."""

from collections.abc import Callable, Sequence
from random import Random

from batchbrew.errors import InputError
from batchbrew.nets.shapes.families import LAYER_TYPES
from batchbrew.proto.tokens import END, Token, Tokens

EXTREME_NUMBERS = """
    0 1 -1 2 3 4 5 7 8 16 30 31 32 33 64 255 256 1000 32768 46341 65536 100000 1000000 16777217 1000000000
    2147483646 2147483647 2147483648 4294967295 4294967296 9223372036854775807 18446744073709551615 -2 -3 -33
    -2147483648 -2147483649 -9223372036854775808 0.5 -0.5 1e-45 1e-30 1e30 -1e30 3.4e38 1e39 1e400 nan -nan inf -inf
    0x7fffffff 007
""".split()  # noqa: SIM905
STRINGS = (
    "", " ", "data", "label", "in0", "top0", "conv1", "nowhere", "a/b", ".", "..", "/", "a\\000b", "\\n",
    "Gr\\303\\274\\303\\237e", "\\377\\376", "%s{}", "(automatic)", "in0_input_0_split_0", "x" * 70000, "constant",
    "xavier", "msra", "bilinear", "gaussian", "positive_unitball", "L1", "poly", "multistep", "step", "SGD", "Adam",
    "../mean.binaryproto",
)  # fmt: skip
TYPES = [*sorted(LAYER_TYPES), "Recurrent", "Unknown"]
NOISE = "{}[]<>:;,\"'#\\\n\0\t-+.eExX09aZ_ \x7f\xe9"
OPENING, CLOSING = "{<[", "}>]"

Span = tuple[int, int]  # of characters
Mutation = Callable[[Random, str, list[Token]], str]


def mutated_text(random: Random, text: str) -> str:
    """`text` after one mutation or a few."""
    for _ in range(random.choice([1, 1, 1, 2, 3, 6])):
        tokens = _tokens(text)
        text = random.choice(_MUTATIONS)(random, text, tokens) if tokens else _noise(random, text, tokens)
    return text


def _tokens(text: str) -> list[Token]:
    """As many as can be read."""
    found = []
    try:
        tokens = Tokens(text, "text")
        while tokens.current.kind != END:
            found.append(tokens.take())
    except InputError:
        pass
    return found


def _replaced(text: str, span: Span, by: str) -> str:
    return text[: span[0]] + by + text[span[1] :]


def _one(random: Random, tokens: list[Token], kinds: Sequence[str]) -> Token | None:
    chosen = [token for token in tokens if token.kind in kinds]
    return random.choice(chosen) if chosen else None


def _span(token: Token) -> Span:
    return token.start, token.start + len(token.text)


def _number(random: Random, text: str, tokens: list[Token]) -> str:
    token = _one(random, tokens, ("integer", "float"))
    return text if token is None else _replaced(text, _span(token), random.choice(EXTREME_NUMBERS))


def _string(random: Random, text: str, tokens: list[Token]) -> str:
    token = _one(random, tokens, ("string",))
    if token is None:
        return text
    other = _one(random, tokens, ("string",))
    assert other is not None
    by = random.choice([other.text, other.text, f'"{random.choice(STRINGS)}"', f'"{random.choice(TYPES)}"'])
    return _replaced(text, _span(token), by)


def _type(random: Random, text: str, tokens: list[Token]) -> str:
    """Another type for a layer, whose bottoms and parameters then are those of none such."""
    places = [
        i for i, token in enumerate(tokens[:-2]) if token.text == "type" and tokens[i + 2].kind == "string"
    ]
    if not places:
        return _string(random, text, tokens)
    return _replaced(text, _span(tokens[random.choice(places) + 2]), f'"{random.choice(TYPES)}"')


def _word(random: Random, text: str, tokens: list[Token]) -> str:
    """A field's name, an enum's value or a bool becomes another one of the text."""
    token, other = _one(random, tokens, ("identifier",)), _one(random, tokens, ("identifier",))
    return text if token is None or other is None else _replaced(text, _span(token), other.text)


def _fields(tokens: list[Token]) -> list[Span]:
    """Where fields are, with their values."""
    spans = []
    for index, token in enumerate(tokens):
        if token.kind != "identifier" or index + 1 == len(tokens):
            continue
        at = index + 1
        if tokens[at].text == ":":
            at += 1
        if at < len(tokens) and (end := _end_of_value(tokens, at)) is not None:
            spans.append((token.start, _span(tokens[end])[1]))
    return spans


def _end_of_value(tokens: list[Token], at: int) -> int | None:
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index].text in OPENING) - (tokens[index].text in CLOSING)
        if depth == 0:
            return index
    return None


def _drop(random: Random, text: str, tokens: list[Token]) -> str:
    spans = _fields(tokens)
    return _replaced(text, random.choice(spans), "") if spans else text


def _double(random: Random, text: str, tokens: list[Token]) -> str:
    spans = _fields(tokens)
    if not spans:
        return text
    start, end = random.choice(spans)
    return _replaced(text, (end, end), (" " + text[start:end]) * random.choice([1, 1, 2, 40]))


def _move(random: Random, text: str, tokens: list[Token]) -> str:
    """A field in another message, or in front of another."""
    spans = _fields(tokens)
    if not spans:
        return text
    start, end = random.choice(spans)
    to = random.choice(spans)[0]
    return _replaced(text, (to, to), text[start:end] + " ")


def _swap(random: Random, text: str, tokens: list[Token]) -> str:
    """Two fields change places, wherever they are."""
    spans = sorted(random.choices(_fields(tokens) or [(0, 0)], k=2))
    (a, b), (c, d) = spans
    return text if c < b else text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]


def _brace(random: Random, text: str, tokens: list[Token]) -> str:
    braces = [token for token in tokens if token.text in OPENING + CLOSING]
    if not braces:
        return text
    return _replaced(
        text, _span(random.choice(braces)), random.choice(["", "{", "}", "{{", "}}", "[", "<", "{ }"])
    )


def _cut(random: Random, text: str, tokens: list[Token]) -> str:
    return text[: random.randrange(len(text) + 1)]


def _noise(random: Random, text: str, tokens: list[Token]) -> str:
    at = random.randrange(len(text) + 1)
    return _replaced(text, (at, at + random.choice([0, 1, 1, 5])), random.choice(NOISE))


_MUTATIONS: tuple[Mutation, ...] = (
    *[_number] * 8, *[_string] * 4, *[_type] * 3, *[_word] * 2, *[_drop] * 3, *[_double] * 2, *[_move] * 2,
    *[_swap] * 2, _brace, _cut, _noise,
)  # fmt: skip
