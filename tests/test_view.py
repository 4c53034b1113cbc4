"""`batchbrew view`, with something in netron's place."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from batchbrew.errors import InputError
from batchbrew.view import view


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.prototxt"
    path.write_text('layer { name: "x" type: "Input" top: "x" }')
    return path


def interrupted(seconds: float) -> NoReturn:
    raise KeyboardInterrupt


def test_shows_the_net_of_a_solver_until_interrupted(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text(f'net: "{net}" base_lr: 1')
    calls: list[tuple[Any, ...]] = []

    def start(file: str, address: tuple[str, int], browse: bool) -> tuple[str, int]:
        calls.append(("start", file, address, browse))
        return address

    fake = SimpleNamespace(start=start, stop=lambda address: calls.append(("stop", address)))
    monkeypatch.setitem(sys.modules, "netron", fake)
    monkeypatch.setattr(time, "sleep", interrupted)
    view(solver, port=1234, browser=False)
    assert calls == [("start", str(net), ("localhost", 1234), False), ("stop", ("localhost", 1234))]


def test_without_netron(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "netron", None)
    with pytest.raises(InputError, match=r"^netron is not installed: pip install netron$"):
        view(net, port=None, browser=True)


def test_port_that_is_none(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "netron", SimpleNamespace())
    with pytest.raises(InputError, match=r"--port must be from 1 to 65,535, not 0"):
        view(net, port=0, browser=True)
