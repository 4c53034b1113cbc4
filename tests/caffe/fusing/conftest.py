"""One process of real Caffe for all examples of this folder."""

from pathlib import Path

import pytest

from tests.caffe.fusing.chains import EXAMPLES, Arrays, in_real_caffe


@pytest.fixture(scope="session")
def caffe_chains(caffe_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    """What real Caffe makes of every example, by name."""
    assert EXAMPLES
    return in_real_caffe(caffe_python, tmp_path_factory.mktemp("chains"))
