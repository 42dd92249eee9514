import pytest

import rgw
from gateway import FsSite, Gateway, S3Site
from seaweed import Seaweed


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="run the long forms of the tests")


@pytest.fixture(scope="session")
def full(request):
    return request.config.getoption("--full")


def pytest_generate_tests(metafunc):
    """Folders and SeaweedFS always; Ceph RGW too with `--full`, where it is installed."""
    if "anywhere" in metafunc.fixturenames:
        kinds = ["fs", "seaweed"]
        if metafunc.config.getoption("--full") and rgw.installed():
            kinds.append("rgw")
        metafunc.parametrize("anywhere", kinds, indirect=True, scope="module")


def one_server_per_country(kind, tmp_path_factory):
    servers = {}
    try:
        for country in ("PK", "SG"):
            servers[country] = kind(tmp_path_factory.mktemp(f"{kind.__name__.lower()}-{country}"))
        yield servers
    finally:
        for server in servers.values():
            server.stop()


@pytest.fixture(scope="session")
def seaweeds(tmp_path_factory):
    yield from one_server_per_country(Seaweed, tmp_path_factory)


@pytest.fixture(scope="session")
def rgws(tmp_path_factory):
    yield from one_server_per_country(rgw.Rgw, tmp_path_factory)


def fs_sites(folder):
    return [FsSite("pk-khi", "PK", folder / "pk-khi"), FsSite("sg-sin", "SG", folder / "sg-sin")]


@pytest.fixture
def make_gateway(tmp_path):
    """Starts gateways over two folders, with settings of the test's own; stops them after it."""
    running = []

    def make(start=True, **settings):
        folder = tmp_path / f"gateway-{len(running)}"
        gateway = Gateway(folder, fs_sites(folder / "sites"), **settings)
        running.append(gateway)
        return gateway.start() if start else gateway

    yield make
    for gateway in running:
        gateway.stop()


@pytest.fixture
def gateway(make_gateway):
    """A gateway of the test's own over two folders, with one bucket."""
    running = make_gateway()
    running.client().create_bucket(Bucket="media")
    return running


@pytest.fixture(scope="module")
def anywhere(request, tmp_path_factory):
    """A gateway with one bucket over folders, then over real S3 servers; shared by the tests of a module."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "fs":
        sites = fs_sites(folder)
    else:
        servers = request.getfixturevalue(f"{request.param}s")
        unique = f"{abs(hash(folder)) % 10**8:08}"
        sites = [S3Site(f"{country.lower()}-{unique}", country, servers[country]) for country in ("PK", "SG")]
    running = Gateway(folder / "gateway", sites)
    try:
        running.start().wait_for_sites()
        running.client().create_bucket(Bucket="media")
        yield running
    finally:
        running.stop()
