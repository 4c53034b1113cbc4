"""What a process of the torch engine gets beside the environment of the user, and that it gets it."""

import subprocess
from pathlib import Path

import pytest

from batchbrew.training.engine_process import EngineProcess, Event
from batchbrew.training.engines import torch_engine
from batchbrew.training.fast_environment import fast_environment

ALL = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1099511627776",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
WAITING = {"GOMP_SPINCOUNT"}


def malloc_part(given: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fast_environment(given).items() if name not in WAITING}


def test_what_is_not_set_is_added() -> None:
    assert malloc_part({"PATH": "/bin"}) == ALL
    assert fast_environment({}).keys() == ALL.keys() | WAITING


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({"MALLOC_MMAP_MAX_": "5"}, {"MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"}),
        ({"MALLOC_TRIM_THRESHOLD_": ""}, {"MALLOC_MMAP_MAX_", "GLIBC_TUNABLES"}),
        # the same under its other name
        ({"GLIBC_TUNABLES": "glibc.malloc.mmap_max=5:glibc.malloc.hugetlb=0"}, {"MALLOC_TRIM_THRESHOLD_"}),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=2:glibc.malloc.trim_threshold=9"}, {"MALLOC_MMAP_MAX_"}),
    ],
)
def test_what_the_user_has_set_stays(given: dict[str, str], added: set[str]) -> None:
    assert malloc_part(given).keys() == added


def test_a_tunable_is_appended_to_the_users() -> None:
    given = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}
    assert malloc_part(given)["GLIBC_TUNABLES"] == "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_how_threads_wait_is_left_to_a_user_who_said_it(name: str) -> None:
    assert not WAITING & fast_environment({name: "x"}).keys()


def test_a_worker_has_it_and_what_the_user_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "77")
    engine = torch_engine()
    seen = tmp_path / "seen"
    (tmp_path / "python").write_text(f"#!/bin/sh\nenv >{seen}\n")
    (tmp_path / "python").chmod(0o755)
    process = EngineProcess(type(engine)("torch", (str(tmp_path / "python"),), "", engine.environment), {})
    assert not [message for message in process.messages() if isinstance(message, Event)]
    lines = seen.read_text().splitlines()
    assert {"MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=77"} <= set(lines)


def test_glibc_knows_these_tunables() -> None:
    """A name that it does not know it passes over without a word."""
    loader = next(Path("/lib64").glob("ld-linux-*.so.*"))
    known = subprocess.run([loader, "--list-tunables"], capture_output=True, text=True, check=True).stdout
    for name in ("mmap_max", "trim_threshold", "hugetlb"):
        assert f"glibc.malloc.{name}:" in known
