"""A relocation as its page shows it while it goes on: nobody loads anything again."""

import os

import chromium
import policy_folder
from gateway import TOKENS

RECORDS = 30
PER_SECOND = 6


@chromium.needed
def test_a_relocation_goes_on_before_the_reader_s_eyes(make_gateway, tmp_path):
    policies = policy_folder.write(tmp_path / "policies")
    gateway = make_gateway(policies=policies)
    s3 = gateway.client()
    s3.create_bucket(Bucket="media")
    assert gateway.admin("PUT", "/v1/subjects/amna", {"attributes": {"residence": "PK"}})[0] == 200
    for number in range(RECORDS):
        s3.put_object(Bucket="media", Key=f"users/amna/{number}", Body=b"x" * 1000)
    policy_folder.write(policies, pk_law=('residence = ["PK"]', 'copies = "only"\ncountries = ["PK"]'))
    assert gateway.admin("POST", "/v1/policies/reload")[0] == 200

    said = chromium.drive(
        "relocation.mjs",
        {
            "url": f"http://127.0.0.1:{gateway.admin_port}",
            "token": TOKENS["auditor"],
            "operator": TOKENS["operator"],
            "order": {"requests_per_second": PER_SECOND},
            "shots": os.environ.get("DOMICILE_CONSOLE_SHOTS"),
        },
    )
    assert not said["wrong"], "\n".join(said["wrong"])
    looked = [seen["looked"] for seen in said["seen"] if seen["looked"] is not None]
    assert looked == sorted(looked) and len(set(looked)) >= 3, "progress is seen on the way"
    assert "Running" in {seen["state"] for seen in said["seen"]}
    assert said["seen"][-1] == {"state": "Done", "looked": RECORDS, "moved": RECORDS}

    [job] = gateway.admin("GET", "/v1/relocations")[1]["relocations"]
    assert job["state"] == "done" and job["progress"]["moved"]["objects"] == RECORDS
    entries = gateway.ledger()
    assert sum(entry["kind"] == "relocated" for entry in entries) == RECORDS
    questions = [entry for entry in entries if entry.get("query", {}).get("route") == "GET /v1/relocations/{id}"]
    assert 3 <= len(questions) <= 30, "each look is a question, and there are not more than the page says"
