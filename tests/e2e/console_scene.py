"""A gateway with something to see on every page of the console: several countries, a backlog that is overdue, refusals, exceptions, findings.

Names are what somebody hostile, or somebody who writes from right to left, would call things.
"""

import contextlib
import time

from botocore.exceptions import ClientError

from gateway import FsSite, Gateway
from vouchers import TimeStamps, Witness

COUNTRIES = {"pk-khi": "PK", "sg-sin": "SG", "ae-dxb": "AE", "de-fra": "DE", "in-bom": "IN"}
HOSTILE = "users/sana/<img src=x onerror=alert(1)>&\"'.jpg"
URDU = "users/sana/تصویر/عید مبارک.jpg"
LONG = "users/omar/" + "a-very-long-name-without-any-place-to-break-it" * 8 + ".bin"
ERASED = "zara"
BUCKETS = ("media", "archive")

GATEWAY = """version = 1
[subject]
from = ["key:users/{subject}/**"]
[attributes.residence]
from = ["directory"]
unknown = "reject"
[attributes.transfer-basis]
type = "text"
from = ["metadata:domicile-transfer-basis"]
unknown = "omit"
[no-subject]
buckets = { "public-*" = ["SG"] }
otherwise = "reject"
[default]
countries = ["SG"]
"""


def instrument(name, title, when, require, more="", end=""):
    return f"""version = 1
id = "{name}"
title = "{title}"
section = "r. 5"
enforcement = "on"
legal-status = "in-force"
effective = 2020-01-21
{more}
[when]
{when}
[require]
{require}
{end}"""


EXCEPTION = """[[exception]]
basis = "contract"
reference = "dossier <7>, filed 2026-03-01"
countries = ["SG"]
expires = 2099-12-31
when = { transfer-basis = ["contract"] }
"""

PK = ("pk-storage", "Storage of citizens' data in Pakistan", 'residence = ["PK"]', 'copies = "only"\ncountries = ["PK"]')
DE = ("de-users", "Users in Germany", 'residence = ["DE"]', 'copies = "only"\ncountries = ["DE"]', "", EXCEPTION)
IN = ("in-payments", "Payment data in India", 'residence = ["IN"]', 'copies = "also"\ncountries = ["IN"]')
# From the second set on; its day is past.
AE = ("ae-health", "Health information in the Emirates", 'residence = ["AE"]', 'copies = "only"\ncountries = ["AE"]')


def write_policies(folder, *instruments):
    for name, *rest in instruments:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "policy.toml").write_text(instrument(name, *rest))
    (folder / "gateway.toml").write_text(GATEWAY)


def stage(folder):
    """Starts the gateway and plays everything; the caller stops it."""
    policies = folder / "policies"
    write_policies(policies, PK, DE, IN)
    sites = [FsSite(name, country, folder / "sites" / name) for name, country in COUNTRIES.items()]
    # One witness answers and one is away; nobody waits for either.
    witness, away, stamps = Witness("witness.example/w1"), Witness("witness.example/away"), TimeStamps(folder / "tsa")
    away.stop()
    vouchers = "".join(f'[[ledger.witness]]\nurl = "{one.url}"\nkey = "{one.vkey}"\n' for one in (witness, away))
    ledger = f'[ledger]\ncheckpoint-every = "1s"\n{vouchers}[ledger.time-stamps]\nurl = "{stamps.url}"\n'
    gateway = Gateway(folder / "gateway", sites, policies=policies, extra=ledger).start()
    try:
        play(gateway, policies)
    except BaseException:
        gateway.stop()
        raise
    return gateway


def play(gateway, policies):
    s3 = gateway.client()
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    for subject, residence in {"sana": "PK", "omar": "AE", "lena": "DE", "ravi": "IN", "wei": "SG", ERASED: "PK"}.items():
        said = {"attributes": {"residence": residence}, "reason": f"passport seen <b>{residence}</b>"}
        assert gateway.admin("PUT", f"/v1/subjects/{subject}", said, role="policy-admin")[0] == 200
    gateway.admin("PUT", "/v1/subjects/sana", {"attributes": {"residence": "AE"}, "effective": "2099-01-01", "reason": "moves"})
    for number, subject in enumerate(["sana", "omar", "lena", "ravi", "wei", ERASED] * 4):
        s3.put_object(Bucket=BUCKETS[number % 2], Key=f"users/{subject}/photo-{number}.jpg", Body=b"x" * 3000 * (number + 1))
    for key in (HOSTILE, URDU, LONG):
        for size in (100, 70_000):
            s3.put_object(Bucket="media", Key=key, Body=b"y" * size)
    s3.put_object(Bucket="media", Key="users/lena/contract.pdf", Body=b"z" * 9000, Metadata={"domicile-transfer-basis": "contract"})
    for key in ("users/nobody-knows/1", "no-subject"):
        with contextlib.suppress(ClientError):
            s3.put_object(Bucket="media", Key=key, Body=b"refused")

    write_policies(policies, PK, DE, IN, (*AE, "backlog-deadline = 2021-01-21"))
    assert gateway.admin("POST", "/v1/policies/reload")[0] == 200
    assert gateway.admin("POST", "/v1/subjects/" + ERASED + "/erase", {"now": True})[0] == 200
    # One blob of Germany is damaged, and found so.
    site = gateway.sites["de-fra"]
    name, data = max(site.blobs().items(), key=lambda blob: len(blob[1]))
    site.write(name, data[:-1] + bytes([data[-1] ^ 1]))
    assert gateway.admin("POST", "/v1/scrubs", {"deep": True})[0] in (200, 202)
    assert gateway.admin("POST", "/v1/relocations", {"dry_run": True})[0] in (200, 202)
    wait_for_jobs(gateway)


def wait_for_jobs(gateway, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        jobs = [job for kind in ("scrubs", "relocations") for job in gateway.admin("GET", f"/v1/{kind}")[1][kind]]
        if all(job["state"] not in ("waiting", "running") for job in jobs):
            return
        assert time.monotonic() < deadline, jobs
        time.sleep(0.1)
