"""The engine's log is off in its tests; those of the log turn it on."""

from collections.abc import Iterator

import pytest

from batchbrew import caffe

OFF = 3


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    caffe.init_log(OFF)
    yield
    caffe.init_log(OFF)
