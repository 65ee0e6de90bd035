"""Sites for the tests: one of each server, shared by the tests of a process, with an empty spool
at the start of each test; and new ones for tests that need their own."""

import pathlib
import shutil
import tempfile

import pytest
from server import SERVERS, Authority


@pytest.fixture(scope="session")
def directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-check."))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def authority(directory):
    return Authority(directory / "ca")


@pytest.fixture(scope="session")
def shared_sites(directory, authority):
    sites = {}
    yield sites
    for site in sites.values():
        site.stop()


@pytest.fixture(params=list(SERVERS))
def server(request):
    """The class of each web server in turn."""
    return SERVERS[request.param]


@pytest.fixture
def site(server, shared_sites, directory, authority):
    """A running site with an empty spool, as shipped."""
    if server.name not in shared_sites:
        shared_sites[server.name] = server(directory / server.name, authority).start()
    shared = shared_sites[server.name]
    for state in shared.spool.iterdir():
        shutil.rmtree(state)
    for log in (shared.directory / "log").iterdir():
        with open(log, "r+b") as stream:
            stream.truncate()
    return shared


@pytest.fixture
def place():
    """A directory of one test's own that the servers' user can reach, too."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-check."))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def new_site(server, authority, place):
    """Make a site of one's own: new_site(environment={...}). It starts when it is made."""
    sites = []

    def make(**options):
        sites.append(server(place / str(len(sites)), authority, **options))
        return sites[-1].start()

    yield make
    for made in sites:
        made.stop()
