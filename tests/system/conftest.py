"""Sites for the tests: one of each server, shared by the tests of a process, with an empty spool
at the start of each test; and new ones for tests that need their own."""

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stub"))

from consuming import Spool  # noqa: E402
from fetching import api_environment, check_secrets, empty, write_netrc  # noqa: E402
from operating import Operator  # noqa: E402
from server import SERVERS, Authority  # noqa: E402
from spoolfile import check_spool  # noqa: E402
from stub import Stub  # noqa: E402


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
    empty(shared_sites[server.name])
    yield shared_sites[server.name]
    check_spool(shared_sites[server.name].spool)


@pytest.fixture
def place():
    """A directory of one test's own that the servers' user can reach, too."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-check."))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def consumed(place):
    """An empty spool to be consumed."""
    spool = Spool(place)
    yield spool
    spool.stop_all()


@pytest.fixture
def operated(place):
    """An empty spool to be operated on."""
    spool = Operator(place)
    yield spool
    spool.stop_all()


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
        check_spool(made.spool)


@pytest.fixture(scope="session")
def shared_stub(directory, authority):
    with Stub(authority, directory / "stub") as stub:
        yield stub


@pytest.fixture
def stub(shared_stub):
    """Tradecloud's API, behaving, and the password file for it."""
    shared_stub.reset()
    write_netrc(shared_stub)
    return shared_stub


@pytest.fixture
def fetcher(server, shared_sites, directory, authority, stub):
    """A running site, as shipped, that fetches from the stub; nobody is logged in."""
    name = f"{server.name}-fetcher"
    if name not in shared_sites:
        shared_sites[name] = server(directory / name, authority,
                                    environment=api_environment(stub)).start()
    empty(shared_sites[name])
    yield shared_sites[name]
    check_spool(shared_sites[name].spool)
    check_secrets(shared_sites[name], stub)


@pytest.fixture
def new_fetcher(new_site, stub):
    """Make such a site of one's own: new_fetcher(TRADECLOUD_TIMEOUT="2")."""
    made = []

    def make(**variables):
        made.append(new_site(environment=api_environment(stub, **variables)))
        return made[-1]

    yield make
    for site in made:
        check_secrets(site, stub)


@pytest.fixture
def hasty(server, shared_sites, directory, authority, stub):
    """A site that waits for the API for two seconds at most."""
    name = f"{server.name}-hasty"
    if name not in shared_sites:
        environment = api_environment(stub, TRADECLOUD_TIMEOUT="2")
        shared_sites[name] = server(directory / name, authority, environment=environment).start()
    empty(shared_sites[name])
    yield shared_sites[name]
    check_spool(shared_sites[name].spool)
    check_secrets(shared_sites[name], stub)
