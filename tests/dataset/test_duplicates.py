import numpy as np

from batchbrew.dataset.duplicates import UNKNOWN, Fingerprint, Fingerprints, fingerprint


def prints(*records: tuple[int, int, int]) -> Fingerprints:
    """Of pixels, stored, label."""
    all_of_them = Fingerprints()
    for pixels, stored, label in records:
        all_of_them.add(Fingerprint(pixels, stored), label)
    return all_of_them


def test_a_fingerprint_is_of_the_pixels_and_their_shape() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    one = fingerprint(image, b"a")
    assert fingerprint(np.asfortranarray(image), b"a") == one
    assert fingerprint(image, b"b").pixels == one.pixels != fingerprint(image.reshape(4, 2, 3), b"a").pixels
    assert fingerprint(image, b"b").stored != one.stored
    assert fingerprint(image.astype(np.float32), b"a").pixels != one.pixels
    changed = image.copy()
    changed[1, 3, 2] ^= 1
    assert fingerprint(changed, b"a").pixels != one.pixels
    assert 0 < one.pixels < 2**64


def test_repeats_within() -> None:
    found = prints((7, 1, 0), (8, 2, 0), (7, 1, 0), (9, 3, 1), (7, 4, 1), (9, 3, 1)).repeats()
    assert (found.pictures, found.stored_alike, found.labelled_otherwise) == (3, 2, 1)
    assert found.first == [(0, 2), (0, 4), (3, 5)]


def test_the_first_of_many_is_the_one_that_is_repeated() -> None:
    found = prints(*((number * 7919 % 100 + 1, 1, number) for number in range(3000))).repeats()
    assert (found.pictures, found.labelled_otherwise) == (2900, 2900)
    assert found.first == [(number, 100 + number) for number in range(10)]


def test_repeats_across() -> None:
    train = prints((5, 1, 0), (6, 2, 1), (5, 1, 0), (2**64 - 1, 9, 3))
    val = prints((1, 1, 0), (6, 2, 1), (5, 7, 2), (2**64 - 1, 9, 3))
    found = train.repeated_in(val)
    assert (found.pictures, found.stored_alike, found.labelled_otherwise) == (3, 2, 1)
    assert found.first == [(1, 1), (0, 2), (3, 3)]
    assert train.repeated_in(prints((3, 1, 0), (2**64 - 2, 1, 0))).pictures == 0


def test_what_cannot_be_decoded_is_equal_to_nothing() -> None:
    broken = prints((1, 1, 0))
    broken.add(UNKNOWN, 0)
    broken.add(UNKNOWN, 0)
    assert broken.repeats().pictures == broken.repeated_in(broken).pictures - 1 == 0


def test_ten_are_named() -> None:
    found = prints(*((1, 1, 0) for _ in range(30))).repeats()
    assert (found.pictures, found.first) == (29, [(0, number) for number in range(1, 11)])
