import pytest

from batchbrew.errors import InputError
from batchbrew.proto.tokens import END, Tokens


def tokens_of(text: str) -> list[tuple[object, ...]]:
    tokens = Tokens(text, "t")
    found: list[tuple[object, ...]] = []
    while tokens.current.kind != END:
        found.append(tuple(tokens.take()))
    return found


def test_kinds_and_places() -> None:
    text = "a_1:0x1F # no { token\n\t<'b\\'c' -.5e-3f>;"
    assert tokens_of(text) == [
        ("identifier", "a_1", 0), ("symbol", ":", 3), ("integer", "0x1F", 4), ("symbol", "<", 23),
        ("string", "'b\\'c'", 24), ("symbol", "-", 31), ("float", ".5e-3f", 32), ("symbol", ">", 38),
        ("symbol", ";", 39),
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["0", "10", "010", "0x0", "18446744073709551616"])
def test_integers(number: str) -> None:
    assert tokens_of(number) == [("integer", number, 0)]


@pytest.mark.parametrize("number", ["0.", "5.", ".5", "1e5", "1E+5", "1.5e-3F", "1f", "0e0"])
def test_floats(number: str) -> None:
    assert tokens_of(number) == [("float", number, 0)]


@pytest.mark.parametrize("text", ["09", "0x", "1.2.3", "1e", "1x", "00.5", "0x1.", "1e+", "1_"])
def test_no_numbers(text: str) -> None:
    with pytest.raises(InputError) as error:
        tokens_of(f"a: {text}")
    assert str(error.value) == f't:1:4: "{text}" is no number'


@pytest.mark.parametrize(
    ("literal", "content"),
    [
        (r'"a\n\t\\\"\'\?"', b"a\n\t\\\"'?"),
        (r"'\a\b\f\r\v'", b"\a\b\f\r\v"),
        (r'"\1014\7"', b"A4\x07"),
        (r'"\x41\x4g"', b"A\x04g"),
        (r'"\u00e9\U0001F642\ud83d\ude42"', "é🙂🙂".encode()),
        ('"é"', "é".encode()),
        ('"\udce9"', b"\xe9"),
    ],
)
def test_strings(literal: str, content: bytes) -> None:
    tokens = Tokens(literal, "t")
    assert tokens.content(tokens.take()) == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a: "b\n"', 't:1:4: this " is never closed on its line'),
        ("a: 'b\\", "t:1:4: this ' is never closed on its line"),
        ("a: 1\nb: “x”", 't:2:4: "“" (U+201C) may stand in strings and comments only'),
        ("a\xa0: 1", 't:1:2: "\xa0" (U+00A0) may stand in strings and comments only'),
        ("a: \udce9", "t:1:4: byte 0xe9 is not UTF-8"),
        ("a\0", "t:1:2: control character 0x00 in the text"),
        ("\ufeffa", "t:1:1: a byte order mark, which Caffe cannot read: save the text as UTF-8 without BOM"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        tokens_of(text)
    assert str(error.value) == message


@pytest.mark.parametrize("escape", [r"\q", r"\x", r"\u12", r"\U00110000", r"\8"])
def test_unknown_escapes(escape: str) -> None:
    tokens = Tokens(f'a "{escape}"', "t")
    tokens.take()
    with pytest.raises(InputError) as error:
        tokens.content(tokens.take())
    assert str(error.value) == f"t:1:3: {escape[:2]} in a string means nothing: write \\\\ for a backslash"


def test_a_long_token_is_cut_in_errors() -> None:
    assert len(str(Tokens("x" * 1000, "t").current)) == 65
