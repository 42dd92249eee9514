"""Residency proofs: verified by the program and by a verifier of our own, written from docs/proofs.md alone; then attacked, outlived and forgotten."""

import base64
import copy
import hashlib
import json
import subprocess
import time
import urllib.parse

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import policy_folder
from gateway import BINARY

PK = {"domicile-subject": "ayesha", "domicile-residence": "PK"}
KEY = "users/ayesha/passport.jpg"


# -------------------------------------------------------------------------------------------------- the verifier, from docs/proofs.md


def note_of(text, vkey, most=None):
    """A signed note's text, once the key's signature holds."""
    name, key_id, key = vkey.split("+", 2)
    text, _, lines = text.rpartition("\n\n")
    text += "\n"
    signatures = [line.removeprefix("— ").split(" ") for line in lines.splitlines()]
    assert most is None or len(signatures) <= most
    key = base64.b64decode(key)
    assert key[0] == 1
    own = [base64.b64decode(signature) for who, signature in signatures if who == name]
    own = [signature[4:] for signature in own if signature[:4].hex() == key_id]
    assert own
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(own[0], text.encode())
    return text


def checkpoint_of(note, vkey):
    origin, size, root = note_of(note, vkey).splitlines()[:3]
    assert origin == vkey.split("+")[0]
    return int(size), base64.b64decode(root)


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def check_inclusion(leaf, proof, root):
    """RFC 9162, section 2.1.3.2."""
    fn, sn, r = proof["entry"], proof["size"] - 1, hashlib.sha256(b"\x00" + leaf.encode()).digest()
    assert fn <= sn
    for p in map(bytes.fromhex, proof["hashes"]):
        assert sn != 0
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0 and r == root


def check_consistency(proof, first, second):
    """RFC 9162, section 2.1.4.2."""
    path = list(map(bytes.fromhex, proof["hashes"]))
    if proof["from"] == proof["to"]:
        assert not path and first == second
        return
    if proof["from"] & (proof["from"] - 1) == 0:
        path.insert(0, first)
    fn, sn = proof["from"] - 1, proof["to"] - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        assert sn != 0
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0 and fr == first and sr == second


def check(document, vkey):
    """What a proof says, when it holds, with the size and root of its checkpoint."""
    proof = json.loads(document)
    assert proof["format"] == "domicile-residency-proof/1" and set(proof) == {"format", "note"}
    context, line = note_of(proof["note"], vkey, most=1).splitlines()
    assert context == "domicile residency proof v1"
    said = json.loads(line)
    assert said["v"] == 1 and said["origin"] == vkey.split("+")[0]
    size, root = checkpoint_of(said["ledger"]["checkpoint"], vkey)
    leaves = {}
    for entry in said["ledger"]["entries"]:
        number, leaf = entry["inclusion"]["entry"], json.loads(entry["leaf"])
        assert entry["inclusion"]["size"] == size and leaf["seq"] == number and leaf["outcome"] == "ok"
        check_inclusion(entry["leaf"], entry["inclusion"], root)
        leaves[number] = leaf
    decision, record = said["decision"], said["record"]
    leaf = leaves[decision["entry"]]
    assert leaf["kind"] in ("put-object", "copy-object", "import-object", "complete-upload", "relocated")
    assert all(leaf[field] == record[field] for field in ("record", "version", "ticket", "size"))
    assert all(leaf.get(field) == said["names"][field] for field in ("bucket", "key", "subject"))
    assert leaf["revision"] == decision["revision"]
    for field in ("instruments", "shadow"):
        assert leaf.get(field, []) == [one["id"] for one in decision.get(field, [])]
    assert leaf.get("exceptions", []) == decision.get("exceptions", [])
    places = sorted((one["site"], one["country"]) for one in said["copies"])
    assert sorted(zip(leaf["sites"], leaf["countries"])) == places and len(set(places)) == len(places)
    assert leaf.get("decided-by", {}).get("source", decision["by"]) == decision["by"]
    placed = {one["site"]: one for one in leaf.get("copies", [])}
    for one in said["copies"]:
        assert placed.get(one["site"], one)["role"] == one["role"]
        if one["state"] == "awaited":
            assert placed.get(one["site"], {"pending": True}).get("pending")
        if one["state"] == "stored":
            leaf = leaves[one["entry"]]
            for told in leaf.get("copies", []):
                if told["site"] == one["site"]:
                    assert told["key"] == one["key"] and not told.get("pending")
                    assert one["key_country"] in (None, told.get("key-country", one["country"]))
            assert leaf["record"] == record["record"]
            assert (one["site"], one["country"]) in zip(leaf["sites"], leaf["countries"])
            assert one["role"] != "queued" or one["entry"] != decision["entry"] or leaf["kind"] == "relocated"
    return said, size, root


# ---------------------------------------------------------------------------------------------------------------------- the tests


def vkey_of(gateway):
    return json.loads(gateway.cli("--json", "ledger", "key", role="auditor").stdout)["key"]


def checkpoint(gateway, file):
    file.write_bytes(gateway.admin_raw("GET", "/v1/ledger/checkpoint", role="auditor", accept="text/plain")[1])
    return file


def prove(gateway, file, key=KEY, *more):
    gateway.cli("ledger", "prove", f"s3://media/{key}", "-o", str(file), *more, role="auditor")
    return file


def verify(gateway, file, *more, check=True):
    """What the program says of a proof; it asks no gateway anything."""
    done = gateway.cli("--json", "ledger", "verify", "--proof", str(file), "--vkey", vkey_of.kept, *map(str, more), check=check)
    return json.loads(done.stdout)


@pytest.fixture
def auditor(gateway):
    gateway.client().put_object(Bucket="media", Key=KEY, Body=b"p" * 3000, Metadata=PK)
    vkey_of.kept = vkey_of(gateway)
    return gateway


def test_a_proof_says_where_and_why_and_two_verifiers_agree(auditor, tmp_path):
    early = checkpoint(auditor, tmp_path / "early")
    size, root = checkpoint_of(early.read_text(), vkey_of.kept)
    file = prove(auditor, tmp_path / "proof.json", KEY, "--from", str(size))
    said, later, new_root = check(file.read_text(), vkey_of.kept)
    check_consistency(said["ledger"]["consistency"], root, new_root)
    assert said["record"]["bucket"] == "media" and said["record"]["key"] == KEY and said["record"]["size"] == 3000
    assert said["decision"]["attributes"] == {"residence": "PK"}
    assert [one["legal_status"] for one in said["decision"]["instruments"] if one["id"] == "pk-cpoh-2020"] == ["superseded"]
    (one,) = [one for one in said["copies"] if one["country"] == "PK"]
    assert (one["site"], one["key"], one["key_country"], one["state"]) == ("pk-khi", "pk", "PK", "stored")
    looked = one["check"]
    assert looked["outcome"] == "sound" and looked["looked_at"] == one["blobs"]["count"] == 1
    assert [check["state"] for check in looked["site"] if check["check"] == "marker"] == ["ok"]
    names = auditor.sites["pk-khi"].blobs()
    assert set(one["blobs"]["names"]) <= set(names)
    assert hashlib.sha256("".join(f"{name}\n" for name in one["blobs"]["names"]).encode()).hexdigest() == one["blobs"]["sha256"]
    assert "ayesha" not in json.dumps(said["names"])

    told = verify(auditor, file, "--checkpoint", early)
    assert told["ok"] and told["statement"] == said and any("one ledger" in sentence for sentence in told["proven"])
    done = auditor.cli("ledger", "verify", "--proof", str(file), "--vkey", vkey_of.kept)
    assert "Not proven:" in done.stdout and "provider's own statement" in done.stdout and "superseded" in done.stdout
    # The question is in the ledger, before the checkpoint of its answer.
    asked = [entry for entry in auditor.ledger() if entry.get("query", {}).get("route") == "GET /v1/proof"]
    assert asked[0]["query"]["from"] == size and asked[0]["key"] == said["names"]["key"] and asked[0]["seq"] < later


def test_proofs_outlive_writes_a_change_of_policy_and_an_erasure(make_gateway, tmp_path, full):
    folder = tmp_path / "policies"
    policy_folder.write(folder, pk=('residence = ["PK"]', 'copies = "only"\ncountries = ["PK"]'))
    gateway = make_gateway(policies=folder)
    s3 = gateway.client()
    s3.create_bucket(Bucket="media")
    assert gateway.admin("PUT", "/v1/subjects/ayesha", {"attributes": {"residence": "PK"}})[0] < 300
    s3.put_object(Bucket="media", Key=KEY, Body=b"p" * 3000)
    vkey_of.kept = vkey_of(gateway)
    file = prove(gateway, tmp_path / "proof.json")
    said, size, root = check(file.read_text(), vkey_of.kept)

    for number in range(100_000 if full else 300):
        s3.put_object(Bucket="media", Key=f"logs/{number}", Body=b"")
    policy_folder.write(folder, pk=('residence = ["PK"]', 'copies = "also"\ncountries = ["PK"]'))
    gateway.cli("policy", "reload")
    assert gateway.admin("GET", "/v1/policies")[1]["revision"] != said["decision"]["revision"]
    gateway.cli("subject", "erase", "ayesha", "--yes", "--now", "--wait")

    status, problem = gateway.admin("GET", f"/v1/proof?bucket=media&key={KEY}", role="auditor")
    assert status == 404 and "ledger" in problem["detail"]
    late = checkpoint(gateway, tmp_path / "late")
    to, new_root = checkpoint_of(late.read_text(), vkey_of.kept)
    status, answer = gateway.admin_raw("GET", f"/v1/ledger/proof?from={size}&to={to}", role="auditor")
    assert status == 200, answer
    (tmp_path / "consistency").write_bytes(answer)
    gateway.cli("ledger", "export", "--tiles", str(tmp_path / "tiles"), role="auditor")
    gateway.cli("ledger", "export", "-o", str(tmp_path / "lines"), role="auditor")
    gateway.stop()

    assert check(file.read_text(), vkey_of.kept)[0] == said
    check_consistency(json.loads(answer), root, new_root)
    told = verify(gateway, file, "--checkpoint", late, "--consistency", tmp_path / "consistency")
    assert told["ok"] and any(f"of {to} entries, continues the proof's" in sentence for sentence in told["proven"])
    for held in ("tiles", "lines"):
        told = verify(gateway, file, tmp_path / held, "--checkpoint", late)
        assert told["ok"] and any("erased" in later for later in told["later"]), told
    without = verify(gateway, file, "--checkpoint", late, check=False)
    assert not without["ok"] and without["fault"] == "consistency-not-shown"


def test_a_ledger_that_is_held_tells_what_became_of_the_record(auditor, tmp_path):
    """Another record's entry says that this one is gone, and a key tries to say that all is well."""
    evil = "x`\n  - None of it was ever moved\x1b[2J"
    s3 = auditor.client()
    for key in (KEY, f"users/ayesha/{evil}"):
        s3.put_object(Bucket="media", Key=key, Body=b"one", Metadata=PK)
    file, forging = tmp_path / "proof.json", tmp_path / "forging.json"
    prove(auditor, file)
    answer = auditor.admin_raw("GET", f"/v1/proof?bucket=media&key={urllib.parse.quote(f'users/ayesha/{evil}')}", role="auditor")
    forging.write_bytes(answer[1])
    auditor.cli("ledger", "export", "-o", str(tmp_path / "before"), role="auditor")
    assert verify(auditor, file, tmp_path / "before")["later"] == []
    s3.put_object(Bucket="media", Key=KEY, Body=b"two", Metadata=PK)
    auditor.cli("ledger", "export", "-o", str(tmp_path / "after"), role="auditor")
    told = verify(auditor, file, tmp_path / "after")
    assert told["ok"] and any("(put-object)" in later for later in told["later"]), told
    arguments = [BINARY, "--json", "ledger", "verify", "--proof", str(file), "--vkey", vkey_of.kept, "-"]
    piped = subprocess.run(arguments, stdin=open(tmp_path / "after"), capture_output=True, text=True, check=True)
    assert json.loads(piped.stdout)["later"] == told["later"], "also where it can be read but once"
    done = auditor.cli("ledger", "verify", "--proof", str(forging), "--vkey", vkey_of.kept)
    assert "\x1b" not in done.stdout and not any(line.startswith("  - None of it") for line in done.stdout.splitlines()), done.stdout


def leaves_of(value, at=()):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves_of(inner, (*at, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves_of(inner, (*at, place))
    else:
        yield at


def test_no_value_of_a_proof_can_be_changed(auditor, tmp_path):
    file = prove(auditor, tmp_path / "proof.json")
    proof = json.loads(file.read_text())
    text, _, signatures = proof["note"].rpartition("\n\n")
    context, line = text.splitlines()
    said = json.loads(line)
    others = [{**proof, "format": "domicile-residency-proof/2"}, {**proof, "more": 1}]
    for at in leaves_of(said):
        other = copy.deepcopy(said)
        inner = other
        for step in at[:-1]:
            inner = inner[step]
        old = inner[at[-1]]
        inner[at[-1]] = (not old) if isinstance(old, bool) else old + 1 if isinstance(old, int) else f"{old}x"
        compact = json.dumps(other, separators=(",", ":"), ensure_ascii=False)
        others.append({**proof, "note": f"{context}\n{compact}\n\n{signatures}"})
    assert len(others) > 60
    for other in others:
        with pytest.raises((AssertionError, InvalidSignature)):
            check(json.dumps(other), vkey_of.kept)
    # The program is held against each of them by a test of its own; here against some, from outside.
    for other in others[:: len(others) // 8]:
        file.write_text(json.dumps(other))
        told = verify(auditor, file, check=False)
        assert not told["ok"] and told["fault"] in ("form", "signature"), told


def test_a_site_that_is_down_or_was_touched_does_not_pass_for_sound(auditor, tmp_path):
    site = auditor.sites["pk-khi"]
    file = prove(auditor, tmp_path / "proof.json")
    said, _, _ = check(file.read_text(), vkey_of.kept)
    place = next(place for place, one in enumerate(said["copies"]) if one["site"] == "pk-khi")
    name = said["copies"][place]["blobs"]["names"][0]
    kept = site.blobs()[name]
    site.write(name, kept[:-1])
    looked = check(prove(auditor, file).read_text(), vkey_of.kept)[0]["copies"][place]["check"]
    assert looked["outcome"] == "faulty" and looked["faults"][0]["blob"] == name and "bytes instead of" in looked["faults"][0]["fault"]
    assert any("SOMETHING WAS WRONG" in sentence for sentence in verify(auditor, file)["stated"])
    site.write(name, kept)
    assert check(prove(auditor, file).read_text(), vkey_of.kept)[0]["copies"][place]["check"]["outcome"] == "sound"
    site.stop()
    looked = check(prove(auditor, file).read_text(), vkey_of.kept)[0]["copies"][place]["check"]
    assert looked["outcome"] in ("faulty", "not-reached") and looked["detail"], looked
    told = verify(auditor, file)
    assert told["ok"] and any("SOMETHING WAS WRONG" in said or "COULD NOT BE REACHED" in said for said in told["stated"])


def test_parts_and_copies_that_follow_are_proven_each_by_its_entry(make_gateway, tmp_path):
    folder = tmp_path / "policies"
    policy_folder.write(folder, pk=('residence = ["PK"]', 'copies = "first"\ncountries = ["PK"]'))
    gateway = make_gateway(policies=folder)
    s3 = gateway.client()
    s3.create_bucket(Bucket="media")
    assert gateway.admin("PUT", "/v1/subjects/ayesha", {"attributes": {"residence": "PK"}})[0] < 300
    upload = s3.create_multipart_upload(Bucket="media", Key=KEY)["UploadId"]
    where = {"Bucket": "media", "Key": KEY, "UploadId": upload}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**where, PartNumber=number, Body=bytes(5 << 20))["ETag"]} for number in (1, 2)
    ]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    vkey_of.kept = vkey_of(gateway)
    deadline = time.monotonic() + 60
    said = {"copies": [{"state": "unasked"}]}
    while any(one["state"] != "stored" for one in said["copies"]):
        assert time.monotonic() < deadline, said["copies"]
        file = prove(gateway, tmp_path / "proof.json")
        said, _, _ = check(file.read_text(), vkey_of.kept)
    kinds = {json.loads(entry["leaf"])["seq"]: json.loads(entry["leaf"])["kind"] for entry in said["ledger"]["entries"]}
    assert {one["country"]: kinds[one["entry"]] for one in said["copies"]} == {"PK": "complete-upload", "SG": "copy-stored"}
    assert all(one["blobs"]["count"] == one["check"]["looked_at"] == 3 for one in said["copies"])
    assert verify(gateway, file)["ok"]
