import json
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.space import check_space, estimated_bytes, stored_bytes
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.making import Made, make
from batchbrew.dataset.sources import open_list
from batchbrew.errors import InputError
from tests.dataset.building.builds import SMALL, everything, pictures_source
from tests.dataset.building.killing import SIDE
from tests.dataset.building.test_resuming import REPOSITORY
from tests.dataset.pictures import encoded, write_pictures


@pytest.mark.parametrize(
    ("value_bytes", "stored"), [(1000, 1096), (1952, 2048), (1953, 4192), (4080, 4192), (4081, 8288)]
)
def test_bytes_of_a_record(value_bytes: int, stored: int) -> None:
    assert stored_bytes(value_bytes) == stored


def made(data_bytes: int) -> Made:
    small = make(encoded(".png"), "a.png", 0, ImageOptions())
    return Made(**{**vars(small), "datum": bytes(data_bytes)})


def test_estimate_is_the_samples_mean_with_a_margin() -> None:
    # Every second of 10,000 is no picture: half of 8,288 bytes each.
    estimate = estimated_bytes(range(10_000), lambda number: made(8000) if number % 2 else None)
    assert estimate == pytest.approx(1.1 * 5000 * 8288 + 2**20, rel=0.1)
    assert estimated_bytes(range(10), lambda number: None) == 0


def test_a_build_that_will_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = SimpleNamespace(free=3 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(
        InputError, match=r"out will need about 10 MiB, and 3 MiB are free there: .*--no-space-check"
    ):
        check_space(tmp_path / "made" / "out", range(1000), lambda number: made(8000))
    free.free = 10 * 2**20
    check_space(tmp_path / "made" / "out", range(1000), lambda number: made(8000))
    free.free = 0
    source = pictures_source(tmp_path / "photos", 3)
    with pytest.raises(InputError, match="--no-space-check"):
        build_lmdb(source, tmp_path / "out", SMALL)
    assert not (tmp_path / "out.partial").exists()
    build_lmdb(source, tmp_path / "out", replace(SMALL, check_space=False))


def test_a_full_disk_is_one_line_and_the_build_can_be_gone_on_with(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 20)
    (tmp_path / "list.txt").write_text("".join(f"{name} 0\n" for name in names * 20))
    out = tmp_path / "out"

    def build(limit: int, **options: object) -> subprocess.CompletedProcess[str]:
        # No file may grow beyond `limit` bytes: as near to a full disk as one comes without root.
        return subprocess.run(
            [sys.executable, "-m", "tests.dataset.building.killing", tmp_path], cwd=REPOSITORY,
            input=json.dumps([str(out), {"check_space": False, **options}, None]), capture_output=True, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )  # fmt: skip

    done = build(2**18)
    assert done.stdout == "1\n"
    assert done.stderr.count("\n") == 1
    assert f"{out} cannot be written: " in done.stderr
    assert "MiB are free there); make room, then go on with the same command and --resume" in done.stderr
    assert not out.exists()
    again = build(2**18, resume=True)
    assert (again.stdout, again.stderr.count("\n")) == ("1\n", 1)
    assert build(2**30, resume=True).stdout == "0\n"
    source = open_list(tmp_path / "list.txt", tmp_path)
    report = build_lmdb(source, tmp_path / "whole", BuildOptions(ImageOptions(side=SIDE)))
    assert report.description.images == 400
    assert everything(out) == everything(tmp_path / "whole")
