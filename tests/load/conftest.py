"""Load tests run the sites of the system tests."""

import pathlib
import shutil
import sys
import tempfile

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "system"), str(TESTS / "stub")]

from fetching import write_netrc  # noqa: E402
from server import SERVERS, Authority  # noqa: E402
from stub import Stub  # noqa: E402


@pytest.fixture(params=list(SERVERS))
def server(request):
    return SERVERS[request.param]


@pytest.fixture
def place():
    path = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-load."))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def authority(place):
    return Authority(place / "ca")


@pytest.fixture
def stub(place, authority):
    with Stub(authority, place) as running:
        write_netrc(running)
        yield running


@pytest.fixture
def say(capsys):
    """Print a figure, whatever pytest is told to keep back."""

    def out(text):
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)

    return out
