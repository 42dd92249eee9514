"""Reads what ran, and says how many tests of each category passed and why the others did not."""

import json
from collections import Counter


def read_list(path):
    """Category of each test of a list."""
    rows = (line.split("\t") for line in path.read_text().splitlines() if line)
    return {test: category for category, test in rows}


def read_results(path):
    """What became of each test: `outcome` passed, failed or skipped; `error` when it failed; `cleanup` when only that did."""
    return json.loads(path.read_text())


def passed(results, test):
    return results.get(test, {}).get("outcome") == "passed"


def table(tests, named, results):
    """Markdown: passed of each category, of the tests that `tests.tsv` names and of all that apply."""
    counts = {kind: Counter() for kind in ("named", "named passed", "all", "all passed")}
    for test, category in tests.items():
        if test not in results:
            continue
        for kind in ["all"] + ["named"] * (test in named):
            for row in (category, "TOTAL"):
                counts[kind][row] += 1
                counts[f"{kind} passed"][row] += passed(results, test)
    lines = ["| category | named | of | all | of |", "|---|---|---|---|---|"]
    for row in [*dict.fromkeys(tests.values()), "TOTAL"]:
        if counts["all"][row]:
            cells = [counts[kind][row] for kind in ("named passed", "named", "all passed", "all")]
            lines.append(f"| {row} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def failures(tests, results):
    """A line for each test that did not pass."""
    lines = []
    for test, category in tests.items():
        if test in results and not passed(results, test):
            result = results[test]
            lines.append(f"{category}\t{test}\t{result.get('error', result['outcome'])}")
    cleanup = sum("cleanup" in results[test] for test in tests if test in results)
    if cleanup:
        lines.append(f"after {cleanup} tests the suite could not clean up; that is not counted against them")
    return "\n".join(lines)


def as_json(tests, named, results):
    failed = [
        {"category": category, "test": test, "named": test in named, **results[test]}
        for test, category in tests.items()
        if test in results and (not passed(results, test) or "cleanup" in results[test])
    ]
    return json.dumps(failed, indent=1)
