"""Mutations of bytes: flipped bits, cuts, lengths that lie, pieces of one place in another."""

from collections.abc import Callable
from random import Random

INTERESTING = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x07",
               b"\x80\x80\x80\x80\x08", b"\xff" * 9 + b"\x01", b"\x0b" * 200, b"\x00" * 64)  # fmt: skip

Mutation = Callable[[Random, bytearray], None]


def mutated_bytes(random: Random, content: bytes) -> bytes:
    """`content` after one mutation or a few."""
    changed = bytearray(content)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        if not changed:
            break
        random.choice(_MUTATIONS)(random, changed)
    return bytes(changed)


def _place(random: Random, content: bytearray) -> int:
    """Anywhere, but more often near the beginning, where headers are."""
    return random.randrange(len(content) if random.random() < 0.5 else min(len(content), 200))


def _flip(random: Random, content: bytearray) -> None:
    for _ in range(random.choice([1, 1, 1, 8, 64])):
        content[_place(random, content)] ^= 1 << random.randrange(8)


def _byte(random: Random, content: bytearray) -> None:
    content[_place(random, content)] = random.choice([0, 1, 2, 4, 8, 0x7F, 0x80, 0xFF, random.randrange(256)])


def _cut(random: Random, content: bytearray) -> None:
    del content[random.randrange(len(content)) :]


def _overwrite(random: Random, content: bytearray) -> None:
    """A number, of which formats have many that tell lengths and places, becomes an extreme one."""
    start, piece = _place(random, content), random.choice(INTERESTING)
    content[start : start + len(piece)] = piece


def _insert(random: Random, content: bytearray) -> None:
    start = _place(random, content)
    content[start:start] = random.choice(INTERESTING)


def _remove(random: Random, content: bytearray) -> None:
    start = _place(random, content)
    del content[start : start + random.choice([1, 1, 2, 4, 8, 100, 4096])]


def _splice(random: Random, content: bytearray) -> None:
    """A piece of the file, at another place of it."""
    start, length, to = (
        _place(random, content),
        random.choice([1, 4, 8, 16, 100, 1000]),
        _place(random, content),
    )
    content[to : to + length] = content[start : start + length]


def _noise(random: Random, content: bytearray) -> None:
    start, length = _place(random, content), random.choice([1, 2, 4, 8, 32, 256])
    content[start : start + length] = random.randbytes(length)


def _append(random: Random, content: bytearray) -> None:
    content += random.choice([bytes(content[:4096]), random.randbytes(30), b"\x00" * 4096])


_MUTATIONS: tuple[Mutation, ...] = (
    *[_flip] * 6, *[_byte] * 3, *[_cut] * 3, *[_overwrite] * 3, _insert, _remove, *[_splice] * 2,
    *[_noise] * 2, _append,
)  # fmt: skip
