"""What an engine is, and whether it works on a GPU, found out by starting it."""

from typing import Any

from batchbrew.errors import EngineError
from batchbrew.training.engine_process import EngineProcess, Event
from batchbrew.training.engines import Engine


def probe(engine: Engine, *, gpu: int | None) -> dict[str, Any] | str:
    """Start the engine and ask what it is; a text is the reason why it does not work."""
    try:
        process = EngineProcess(engine, {"task": "probe", "gpu": gpu})
    except EngineError as error:
        return str(error)
    found = None
    for message in process.messages():
        if isinstance(message, Event):
            found = message.fields
    return found or process.failure() or "it ended without a word"
