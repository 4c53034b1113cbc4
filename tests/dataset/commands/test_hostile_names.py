"""What a terminal would obey stands in names of files, and is not printed."""

from pathlib import Path

import pytest

from batchbrew.dataset.commands.build import build, build_options
from batchbrew.dataset.commands.source_choice import SourceChoice
from batchbrew.errors import InputError
from tests.dataset.pictures import encoded


def test_a_build_prints_names_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "photos" / "a\x1b[31m[red]\nb"
    folder.mkdir(parents=True)
    (folder / "x\nbatchbrew: all is well.JPEG").write_bytes(b"junk")
    (folder / "y.png").write_bytes(encoded(".png"))
    choice = SourceChoice(folder=tmp_path / "photos")
    build(tmp_path / "db", choice, build_options(side=32))
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\nb" not in text
    assert "quarantined: a\\x1b[31m[red]\\nb/x\\nbatchbrew: all is well.JPEG is not a JPEG" in text
    with pytest.raises(InputError) as error:
        build(tmp_path / "strict", choice, build_options(side=32, strict=True))
    assert "all is well" in str(error.value)
    assert str(error.value).isprintable()


def test_nothing_is_printed_of_what_is_damaged_but_our_own_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos" / "a"
    folder.mkdir(parents=True)
    (folder / "x.bmp").write_bytes(encoded(".bmp")[:-99])
    (folder / "y.png").write_bytes(encoded(".png"))
    build(tmp_path / "db", SourceChoice(folder=tmp_path / "photos"), build_options(side=32))
    found = capfd.readouterr()
    assert (found.err, found.out.count("x.bmp")) == ("", 1)
