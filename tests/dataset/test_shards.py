"""Which folders are a set, and which sets are whole."""

from pathlib import Path

import pytest

from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.shards import is_lmdb, lmdbs_in, shard_name
from batchbrew.errors import InputError
from tests.dataset.lmdbs import write_lmdb


def shards(folder: Path, *names: str) -> Path:
    """Each holds its own name."""
    folder.mkdir(exist_ok=True)
    for name in names:
        write_lmdb(folder / name, [name.encode()])
    return folder


def test_names_sort_as_shards_follow_one_another() -> None:
    names = [shard_name(number, 100_000) for number in (0, 9, 10, 99_999)]
    assert names[0] == "shard-00000-of-100000"
    assert names == sorted(names)


def test_shards_are_read_as_one_set_in_their_order(tmp_path: Path) -> None:
    names = [shard_name(number, 12) for number in range(12)]
    shards(tmp_path, *reversed(names))
    assert [path.name for path in lmdbs_in(tmp_path)] == names
    with LmdbReader(tmp_path) as reader:
        assert len(reader) == 12
        assert [value.decode() for _, value in reader.items()] == names
    assert lmdbs_in(tmp_path / names[3]) == [tmp_path / names[3]]


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_a_missing_shard_is_named(tmp_path: Path, missing: int) -> None:
    shards(tmp_path, *(shard_name(number, 4) for number in range(4) if number != missing))
    with pytest.raises(InputError) as caught:
        LmdbReader(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is a set of 4 shards, but 3 are there, and shard-0000{missing}-of-00004 is not: "
        f"build it with `batchbrew lmdb build --shards 4 --shard {missing}`"
    )


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["shard-00000-of-00002", "shard-00001-of-00003"], "set of 2 shards, but shard-00001-of-00003 in it is none"),
        (["more", "shard-00000-of-00001"], "set of 1 shards, but more in it is none of them: move it"),
        (["shard-00000-of-00001", "shard-00001-of-00001"], "but shard-00001-of-00001 in it is none of them"),
        (["shard-00000-of-00000"], "set of 0 shards"),
        (["shard-00000-of-00002", "shard-00001-of-00002", "shard-1-of-2"], "but 3 folders are there: keep one of each"),
        (["shard-00000-of-00002", "shard-00001-of-00002.partial"], "shard-00001-of-00002.partial in it is a build"),
        (["a", "b.partial"], "b.partial in it is a build that has not ended: end it with `batchbrew lmdb build --res"),
    ],
)  # fmt: skip
def test_what_is_no_whole_set(tmp_path: Path, names: list[str], complaint: str) -> None:
    shards(tmp_path, *names)
    assert is_lmdb(tmp_path)
    with pytest.raises(InputError) as caught:
        lmdbs_in(tmp_path)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_partial_build_without_data_is_none_either(tmp_path: Path) -> None:
    shards(tmp_path, "a")
    (tmp_path / "b.partial").mkdir()
    with pytest.raises(InputError, match=r"b\.partial in it is a build that has not ended"):
        lmdbs_in(tmp_path)


def test_hidden_folders_and_files_are_no_part_of_a_set(tmp_path: Path) -> None:
    shards(tmp_path, "a", "b", ".c.building-1")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "dataset.json").touch()
    assert [path.name for path in lmdbs_in(tmp_path)] == ["a", "b"]


def test_what_is_no_data_set(tmp_path: Path) -> None:
    shards(tmp_path / "hidden", ".a")
    for path in (tmp_path / "absent", tmp_path / "hidden", Path("a\0b")):
        assert not is_lmdb(path)
        assert lmdbs_in(path) == [path]
