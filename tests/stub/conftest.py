"""The stub, with the certificates that the test servers have, too."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from server import Authority  # noqa: E402
from stub import Stub  # noqa: E402


@pytest.fixture(scope="session")
def running_stub(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stub")
    with Stub(Authority(directory / "ca"), directory) as stub:
        yield stub


@pytest.fixture
def stub(running_stub):
    running_stub.reset()
    return running_stub
