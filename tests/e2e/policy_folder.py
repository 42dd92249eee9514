"""Policy folders of the tests' own, so that they say what they test whatever the library of instruments holds."""

import pathlib

GATEWAY = """version = 1
[subject]
from = ["key:users/{subject}/**"]
[attributes.residence]
from = ["directory"]
unknown = "reject"
[no-subject]
otherwise = ["SG"]
[default]
countries = ["SG"]
"""


def instrument(name, when, require):
    """`when` and `require` are lines of those tables."""
    return f"""version = 1
id = "{name}"
title = "{name}"
section = "1"
enforcement = "on"
legal-status = "in-force"
effective = 2020-01-01
[when]
{when}
[require]
{require}
"""


def write(folder, **instruments):
    """Makes the folder hold these instruments, each `(when, require)`, and no other."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.toml").write_text(GATEWAY)
    for old in folder.glob("*/policy.toml"):
        old.unlink()
        old.parent.rmdir()
    for name, (when, require) in instruments.items():
        name = name.replace("_", "-")
        (folder / name).mkdir()
        (folder / name / "policy.toml").write_text(instrument(name, when, require))
    return folder
