"""`batchbrew view`: a network as a graph in the browser, drawn by netron."""

import importlib
import time
from pathlib import Path
from typing import Any

from batchbrew.errors import InputError
from batchbrew.nets.reading import read_network

HOST = "localhost"
PORT = 8080  # netron's own default; it takes another one if that is in use


def view(path: Path, *, port: int | None, browser: bool) -> None:
    """Show the network, or the solver's network, in `path` until Ctrl-C. Raises InputError."""
    file = read_network(path)
    netron = _netron()
    if port is not None and not 1 <= port <= 65_535:
        raise InputError(f"--port must be from 1 to 65,535, not {port}")
    address = netron.start(str(file.path), (HOST, port or PORT), browse=browser)  # prints the address
    print("Ctrl-C ends it", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        netron.stop(address)


def _netron() -> Any:
    try:
        return importlib.import_module("netron")
    except ModuleNotFoundError:
        raise InputError("netron is not installed: pip install netron") from None
