"""What crash injection shares with the tests of whole systems: certificates, the stand-in for the
API, the programs."""

import pathlib
import shutil
import sys
import tempfile

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "system"), str(TESTS / "stub")]

from server import Authority  # noqa: E402
from stub import Stub  # noqa: E402


@pytest.fixture
def place():
    path = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-crash."))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def stub(tmp_path_factory):
    """Tradecloud's API."""
    directory = tmp_path_factory.mktemp("stub")
    with Stub(Authority(directory / "ca"), directory) as running:
        yield running


@pytest.fixture
def say(capsys):
    """Print a figure, whatever pytest is told to keep back."""

    def out(text):
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)

    return out
