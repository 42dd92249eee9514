"""Loaded into the suite's pytest: gives each worker its gateway and each test fresh names, and writes down what became of each test."""

import json
import os
import pathlib

import pytest

FOLDER = pathlib.Path(os.environ["S3TESTS_FOLDER"])
results = {}


def pytest_configure(config):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    os.environ["S3TEST_CONF"] = str(FOLDER / worker / "s3tests.conf")


def pytest_collection_modifyitems(config, items):
    chosen = set((FOLDER / "chosen").read_text().splitlines())
    kept = [item for item in items if item.name in chosen]
    config.hook.pytest_deselected(items=[item for item in items if item.name not in chosen])
    items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Buckets that an earlier test could not remove are not the next one's to remove."""
    from s3tests import functional

    if functional.prefix is not None:
        functional.prefix = functional.choose_bucket_prefix("test-{random}-")


def pytest_runtest_logreport(report):
    test = report.nodeid.partition("::")[2]
    result = results.setdefault(test, {"outcome": "passed"})
    if report.when == "teardown":
        if report.failed:
            result["cleanup"] = last_line(report)
    elif not report.passed:
        result["outcome"] = report.outcome
        result["error"] = last_line(report)


def last_line(report):
    """The error, and the line of the test that it came out of."""
    text = report.longrepr
    if isinstance(text, tuple):
        return str(text[-1])
    crash = getattr(text, "reprcrash", None)
    if crash is None:
        return str(text).strip().splitlines()[-1] if text else ""
    message = crash.message.splitlines()[0] if crash.message else ""
    entries = getattr(getattr(text, "reprtraceback", None), "reprentries", [])
    places = [place for entry in entries if (place := getattr(entry, "reprfileloc", None))]
    lines = [place.lineno for place in places if pathlib.Path(place.path).name.startswith("test_")]
    return f"{message} (line {lines[0]})" if lines else message


def pytest_sessionfinish(session):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        (FOLDER / "results.json").write_text(json.dumps(results, indent=1))
