"""The ledger as a transparency log: others' tools verify it, others vouch for it, and every attack on it is found offline and named."""

import base64
import hashlib
import json
import pathlib
import shutil
import struct
import subprocess
import time

import pytest

from gateway import BINARY
from vouchers import TimeStamps, Witness

HERE = pathlib.Path(__file__).parent
ORIGIN = "ledger.example/domicile"


@pytest.fixture(scope="module")
def tlog(tmp_path_factory):
    """The verifier in Go, from packages that know nothing of Domicile."""
    if not shutil.which("go"):
        pytest.skip("Go is not there")
    program = tmp_path_factory.mktemp("tlog") / "tlog"
    subprocess.run(["go", "build", "-mod=readonly", "-o", program, "."], cwd=HERE / "tlog", check=True)

    def run(*arguments):
        return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)

    return run


@pytest.fixture
def vouchers(tmp_path):
    witness, stamps = Witness("witness.example/w1"), TimeStamps(tmp_path / "tsa")
    yield witness, stamps
    witness.stop()
    stamps.stop()


def settings(witness, stamps):
    return f"""[ledger]
origin = "{ORIGIN}"
checkpoint-every = "1s"
[[ledger.witness]]
url = "{witness.url}"
key = "{witness.vkey}"
[ledger.time-stamps]
url = "{stamps.url}/tsr"
"""


def grow(gateway, to):
    """Questions until the ledger has so many entries."""
    while gateway.admin("GET", "/v1/ledger/checkpoint")[1]["size"] < to:
        for _ in range(20):
            assert gateway.admin("GET", "/v1/summary")[0] == 200


def export(gateway, folder, check=True):
    return gateway.cli("ledger", "export", "--tiles", str(folder), check=check)


def verify(*arguments):
    """What `ledger verify` says, without a gateway."""
    done = subprocess.run([BINARY, "ledger", "verify", *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def vouched(gateway):
    """The first kept checkpoint that the witness has cosigned and the authority stamped."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for kept in gateway.admin("GET", "/v1/ledger/checkpoints")[1]["checkpoints"]:
            if kept["witnesses"] and kept["time_stamps"]:
                return kept
        time.sleep(0.2)
    raise AssertionError(gateway.log()[-4000:])


def test_others_verify_the_log_and_vouch_for_it(make_gateway, vouchers, tlog, tmp_path):
    witness, stamps = vouchers
    gateway = make_gateway(extra=settings(witness, stamps))
    grow(gateway, 300)
    kept = vouched(gateway)
    assert kept["witnesses"] == [{"name": witness.name, "time": "2026-09-21T14:13:20.000Z"}]
    vkey = gateway.cli("ledger", "key").stdout.strip()
    folder = tmp_path / "log"
    export(gateway, folder)

    # Its own tool, then one that has nothing of it.
    code, said = verify(folder, "--vkey", vkey, "--witness", witness.vkey)
    assert code == 0 and "signed by the key" in said and f"`{witness.name}` has seen" in said, said
    stranger = Witness("witness.example/w2")
    stranger.stop()
    code, said = verify(folder, "--vkey", vkey, "--witness", stranger.vkey)
    assert code == 1 and "cosigned no checkpoint" in said, said
    assert tlog("-vkey", vkey, folder).returncode == 0
    found = tlog("-vkey", vkey, "-witness", witness.vkey, "-note", f"checkpoints/{kept['size']}", folder)
    assert found.returncode == 0, found.stderr
    assert tlog("-vkey", stranger.vkey.replace("w2", "w3"), folder).returncode != 0

    # The authority's own tool verifies its word on the three lines.
    text = kept["note"].split("\n\n")[0].encode() + b"\n"
    answer = folder / "checkpoints" / f"{kept['size']}.1.tsr"
    assert stamps.verify(text, answer) and not stamps.verify(text + b"x", answer)

    # The folder grows, and others see that it is the same log.
    held = tmp_path / "held"
    shutil.copy(folder / "checkpoint", held)
    old = int(held.read_text().split("\n")[1])
    grow(gateway, 700)
    export(gateway, folder)
    assert not (folder / "tile" / "entries" / "001.p").exists() and (folder / "tile" / "entries" / "001").exists()
    found = tlog("-vkey", vkey, "-older", held, folder)
    assert found.returncode == 0, found.stderr
    size = int(found.stdout)
    assert size >= 700
    for question in (f"entry=5&size={size}", f"entry={size - 1}&size={size}", f"from={old}&to={size}", f"from=1&to={size}"):
        status, proof = gateway.admin("GET", f"/v1/ledger/proof?{question}")
        assert status == 200
        (tmp_path / "proof").write_text(json.dumps(proof))
        found = tlog("-vkey", vkey, "-proof", tmp_path / "proof", folder)
        assert found.returncode == 0, (question, found.stderr)
    assert gateway.admin("GET", f"/v1/ledger/proof?entry={10**9}")[0] == 404

    # Over HTTP the same bytes, under the names that the specification gives them.
    for name in ("tile/0/000", "tile/0/001", f"tile/0/002.p/{size % 256}", f"tile/1/000.p/{size >> 8}", "tile/entries/000"):
        status, data = gateway.admin_raw("GET", f"/v1/ledger/{name}")
        assert status == 200 and data == (folder / name).read_bytes(), name
    assert gateway.admin("GET", "/v1/ledger/tile/0/x001/000")[0] == 404
    status, note = gateway.admin_raw("GET", "/v1/ledger/checkpoint", accept="*/*")
    assert status == 200 and note.decode().startswith(f"{ORIGIN}\n")


def unbundled(data):
    entries = []
    while data:
        (length,) = struct.unpack(">H", data[:2])
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    return entries


def bundled(entries):
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def merkle(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + merkle(leaves[:split]) + merkle(leaves[split:])).digest()


def rewrite(folder, entries, sign):
    """A folder with these entries and every hash that belongs to them, as somebody makes who knows all but the key."""
    shutil.rmtree(folder / "tile")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    roots = [merkle(leaves[at : at + 256]) for at in range(0, len(leaves) - 255, 256)]

    def write(level, number, width, data):
        path = folder / "tile" / level / (f"{number:03}" if width == 256 else f"{number:03}.p/{width}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    for number in range(0, (len(leaves) + 255) // 256):
        part = slice(number * 256, number * 256 + 256)
        write("entries", number, len(entries[part]), bundled(entries[part]))
        write("0", number, len(leaves[part]), b"".join(leaves[part]))
    if roots:
        write("1", 0, len(roots), b"".join(roots))
    text = f"{ORIGIN}\n{len(entries)}\n{base64.b64encode(merkle(leaves)).decode()}\n"
    (folder / "checkpoint").write_text(text + "\n" + sign)


def test_every_attack_is_found_offline_by_what_the_auditor_holds(make_gateway, tmp_path):
    gateway = make_gateway(extra=f'[ledger]\norigin = "{ORIGIN}"\n')
    grow(gateway, 280)
    vkey = gateway.cli("ledger", "key").stdout.strip()
    older = tmp_path / "older"
    export(gateway, older)
    whole = tmp_path / "whole"
    shutil.copytree(older, whole)
    # Everything that the gateway is, as somebody keeps it who is to turn back time.
    gateway.stop()
    shutil.copytree(gateway.folder, tmp_path / "backup")
    gateway.start()
    grow(gateway, 600)
    export(gateway, whole)
    lines = tmp_path / "ledger.ndjson"
    held = tmp_path / "held"
    held.write_bytes((whole / "checkpoint").read_bytes())
    known = ("--checkpoint", held, "--vkey", vkey)
    assert verify(whole, *known)[0] == 0
    gateway.cli("ledger", "export", "-o", str(lines))
    assert verify(lines, *known)[0] == 0
    size = int(held.read_text().split("\n")[1])
    entries = [entry for bundle in ("000", "001", f"002.p/{size % 256}") for entry in unbundled((whole / "tile/entries" / bundle).read_bytes())]
    assert len(entries) == size

    def attacked(change):
        """The folder with other bytes in the bundles and nothing else touched."""
        copy = tmp_path / "attacked"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        changed = list(entries)
        change(changed)
        for at, path in ((0, "000"), (256, "001"), (512, f"002.p/{size % 256}")):
            end = len(changed) if at == 512 else at + 256
            (copy / "tile/entries" / path).write_bytes(bundled(changed[at:end]))
        return verify(copy, *known), changed

    def edit(all):
        all[300] = all[300].replace(b'"ok"', b'"no"')

    def drop(all):
        del all[300]

    def reorder(all):
        all[300], all[310] = all[310], all[300]

    def insert(all):
        all.insert(300, all[299])

    note = held.read_text().split("\n\n")[1]
    for change, name in ((edit, "Edited"), (drop, "Missing"), (reorder, "Reordered"), (insert, "Inserted")):
        (code, said), changed = attacked(change)
        assert code == 1 and f"entry 300: {name}" in said, (name, said)
        # The same in an export of lines, whose head stays, where the entry is not known to be this one.
        export_lines = lines.read_text().splitlines()
        head = export_lines[-1]
        attacked_lines = tmp_path / "attacked.ndjson"
        rest = [line.encode() for line in export_lines[size:-1]]
        attacked_lines.write_bytes(b"\n".join([*changed, *rest, head.encode()]) + b"\n")
        code, said = verify(attacked_lines, *known)
        assert code == 1 and name in said, (name, said)
        # All hashes computed anew: only the signature is missing, and that is not to be had.
        copy = tmp_path / "rewritten"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        rewrite(copy, changed, note)
        code, said = verify(copy, *known)
        assert code == 1 and "BadHead" in said, (name, said)
        code, said = verify(copy, "--checkpoint", held)
        assert code == 1 and name in said, "without the key it is what is held that counts: " + said

    # The tail is cut off, of entries and of lines.
    copy = tmp_path / "cut"
    shutil.copytree(whole, copy)
    shutil.rmtree(copy / "tile/entries/002.p")
    code, said = verify(copy, *known)
    assert code == 1 and "entry 512: Truncated" in said, said
    short = tmp_path / "short.ndjson"
    short.write_text("\n".join([*lines.read_text().splitlines()[: size - 3], lines.read_text().splitlines()[-1]]) + "\n")
    code, said = verify(short, *known)
    assert code == 1 and f"entry {size - 3}: Truncated" in said, said

    # A whole and signed, but older ledger takes its place.
    code, said = verify(older, *known)
    assert code == 1 and "OlderLog" in said, said
    assert verify(older, "--vkey", vkey)[0] == 0, "nothing is wrong with it but what the auditor knows"

    # Tiles that are not those of the entries.
    copy = tmp_path / "tiles"
    shutil.copytree(whole, copy)
    tile = copy / "tile/0/001"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    code, said = verify(copy, *known)
    assert code == 1 and "entry 256: BadTile" in said, said

    # The ledger of another gateway.
    code, said = verify(whole, "--checkpoint", held, "--vkey", vkey.replace("ledger.example", "other.example"))
    assert code == 2, said
    other = make_gateway()
    grow(other, 5)
    foreign = tmp_path / "foreign"
    export(other, foreign)
    code, said = verify(foreign, *known)
    assert code == 1 and "OtherLog" in said, said

    # The gateway itself turns back time and goes on another way: its signature holds, and what the auditor holds does not fit.
    gateway.stop()
    for part in ("data", "sites"):
        shutil.rmtree(gateway.folder / part)
        shutil.copytree(tmp_path / "backup" / part, gateway.folder / part)
    gateway.start()
    assert gateway.admin("GET", "/v1/sites")[0] == 200
    grow(gateway, size + 20)
    forked = tmp_path / "forked"
    export(gateway, forked)
    assert verify(forked, "--vkey", vkey)[0] == 0
    code, said = verify(forked, *known)
    assert code == 1 and "Fork" in said, said
    # Whoever keeps a folder finds it out with the next export, and the folder stays.
    before = (whole / "checkpoint").read_bytes()
    done = export(gateway, whole, check=False)
    assert done.returncode == 1 and "Fork" in done.stderr, done.stderr
    assert (whole / "checkpoint").read_bytes() == before


def test_a_witness_does_not_follow_a_fork(make_gateway, vouchers, tmp_path):
    witness, stamps = vouchers
    gateway = make_gateway(extra=settings(witness, stamps))
    grow(gateway, 20)
    vouched(gateway)
    gateway.stop()
    shutil.copytree(gateway.folder, tmp_path / "backup")
    gateway.start()
    grow(gateway, 80)
    deadline = time.monotonic() + 30
    while witness.size < 80 and time.monotonic() < deadline:
        time.sleep(0.1)
    gateway.stop()
    seen = witness.size
    for part in ("data", "sites"):
        shutil.rmtree(gateway.folder / part)
        shutil.copytree(tmp_path / "backup" / part, gateway.folder / part)
    gateway.start()
    assert gateway.admin("GET", "/v1/sites")[0] == 200
    grow(gateway, seen + 30)
    deadline = time.monotonic() + 30
    while "no continuation of them" not in gateway.log() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "no continuation of them" in gateway.log()
    assert witness.size == seen
