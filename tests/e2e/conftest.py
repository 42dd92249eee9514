import pytest

from gateway import FsSite, Gateway, S3Site
from seaweed import Seaweed


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="run the long forms of the tests")


@pytest.fixture(scope="session")
def full(request):
    return request.config.getoption("--full")


@pytest.fixture(scope="session")
def seaweeds(tmp_path_factory):
    """One SeaweedFS for each country."""
    servers = {country: Seaweed(tmp_path_factory.mktemp(f"weed-{country}")) for country in ("PK", "SG")}
    yield servers
    for server in servers.values():
        server.stop()


def fs_sites(folder):
    return [FsSite("pk-khi", "PK", folder / "pk-khi"), FsSite("sg-sin", "SG", folder / "sg-sin")]


@pytest.fixture
def gateway(tmp_path):
    """A gateway of the test's own over two folders."""
    running = Gateway(tmp_path / "gateway", fs_sites(tmp_path / "sites")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["fs", "seaweed"])
def anywhere(request, tmp_path_factory):
    """A gateway over folders, then one over real S3 servers; shared by the tests of a module."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "fs":
        sites = fs_sites(folder)
    else:
        servers = request.getfixturevalue("seaweeds")
        unique = folder.name[-6:].replace("_", "").lower()
        sites = [S3Site(f"pk-{unique}", "PK", servers["PK"]), S3Site(f"sg-{unique}", "SG", servers["SG"])]
    running = Gateway(folder / "gateway", sites).start()
    running.client().create_bucket(Bucket="media-files")
    yield running
    running.stop()
