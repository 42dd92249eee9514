"""Who may use which route of the admin API: the one table that the tests hold the real binary against.

A row: method and path as `/openapi.json` writes them, the roles that may, the status that such a role gets from a fresh gateway with one
record, and where needed what is sent and the path that it is sent to. A route that is not here fails the test: a new one is added on
purpose.
"""

A, P, O, L = "auditor", "policy-admin", "operator", "legal"
ROLES = (A, P, O, L)
READ, SUBJECTS, POLICY, PLAN = (A, O, L), ROLES, (P, O), (A, P, O)
ANYBODY = "anybody"

MATRIX = [
    ("GET", "/v1/records", READ, 200),
    ("GET", "/v1/record", READ, 200, None, "/v1/record?bucket=media&key=users/ali/a"),
    ("GET", "/v1/proof", READ, 200, None, "/v1/proof?bucket=media&key=users/ali/a"),
    ("GET", "/v1/summary", READ, 200),
    ("POST", "/v1/explain", POLICY, 200, {"bucket": "media", "key": "users/ali/a"}),
    ("GET", "/v1/policies", SUBJECTS, 200),
    ("POST", "/v1/policies/plan", PLAN, 200),
    ("GET", "/v1/policies/history", SUBJECTS, 200),
    ("GET", "/v1/policies/revisions/{id}", SUBJECTS, 404, None, "/v1/policies/revisions/00000000"),
    ("POST", "/v1/policies/diff", PLAN, 200, {}),
    ("POST", "/v1/policies/rollback", POLICY, 404, {"revision": "00000000"}),
    ("POST", "/v1/policies/proposals/{id}/approve", (P,), 404, None, "/v1/policies/proposals/00000000/approve"),
    ("POST", "/v1/policies/proposals/{id}/reject", POLICY, 404, None, "/v1/policies/proposals/00000000/reject"),
    ("POST", "/v1/policies/reload", POLICY, 200),
    ("POST", "/v1/config/reload", (O,), 200),
    ("POST", "/v1/sessions", (O,), 200, {"principal": "tests", "seconds": 60}),
    ("PUT", "/v1/subjects/{id}", POLICY, 200, {"attributes": {"residence": "PK"}}, "/v1/subjects/somebody"),
    ("GET", "/v1/subjects/{id}", SUBJECTS, 404, None, "/v1/subjects/nobody"),
    ("DELETE", "/v1/subjects/{id}", POLICY, 404, None, "/v1/subjects/nobody"),
    ("POST", "/v1/subjects/{id}/erase", (O,), 404, None, "/v1/subjects/never-heard-of/erase"),
    ("POST", "/v1/subjects/{id}/rotate-key", (O,), 404, None, "/v1/subjects/nobody/rotate-key"),
    ("POST", "/v1/subjects:import", POLICY, 200, '{"id": "somebody", "attributes": {"residence": "PK"}}'),
    ("GET", "/v1/erasures", READ, 200),
    ("GET", "/v1/erasures/{id}", READ, 404, None, "/v1/erasures/1"),
    ("GET", "/v1/relocations", READ, 200),
    ("POST", "/v1/relocations", (O,), 200, {"dry_run": True}),
    ("GET", "/v1/relocations/{id}", READ, 404, None, "/v1/relocations/99"),
    ("DELETE", "/v1/relocations/{id}", (O,), 404, None, "/v1/relocations/99"),
    ("GET", "/v1/scrubs", (A, O), 200),
    ("POST", "/v1/scrubs", (A, O), 200, {}),
    ("GET", "/v1/scrubs/{id}", (A, O), 404, None, "/v1/scrubs/99"),
    ("DELETE", "/v1/scrubs/{id}", (O,), 404, None, "/v1/scrubs/99"),
    ("GET", "/v1/findings", READ, 200),
    ("GET", "/v1/imports", (O,), 200),
    ("POST", "/v1/imports", (O,), 404, {"source": "none", "bucket": "a-bucket", "to": "media"}),
    ("GET", "/v1/imports/{id}", (O,), 404, None, "/v1/imports/99"),
    ("DELETE", "/v1/imports/{id}", (O,), 404, None, "/v1/imports/99"),
    ("GET", "/v1/ledger/checkpoint", READ, 200),
    ("GET", "/v1/ledger/checkpoints", READ, 200),
    ("GET", "/v1/ledger/proof", READ, 200, None, "/v1/ledger/proof?from=1&to=2"),
    ("GET", "/v1/ledger/tile/{path}", READ, 200, None, "/v1/ledger/tile/0/000.p/1"),
    ("GET", "/v1/ledger/entries", READ, 200),
    ("GET", "/v1/report", READ, 200, None, "/v1/report?since=2020-01-01&until=2099-01-01"),
    ("GET", "/v1/record/history", READ, 200, None, "/v1/record/history?bucket=media&key=users/ali/a"),
    ("GET", "/v1/population", READ, 200),
    ("GET", "/v1/sample", READ, 200, None, "/v1/sample?seed=1&n=1"),
    ("GET", "/v1/index/export", (O,), 200),
    ("GET", "/v1/sites", READ, 200),
    ("POST", "/v1/sites/check", (O,), 200),
    ("POST", "/v1/sites/{id}/init", (O,), 404, None, "/v1/sites/no-such/init"),
    ("GET", "/v1/keys", READ, 200),
    ("POST", "/v1/keys/{id}/rotate", (O,), 404, None, "/v1/keys/no-such/rotate"),
    ("GET", "/v1/rotations", (O,), 200),
    ("GET", "/v1/rotations/{id}", (O,), 404, None, "/v1/rotations/99"),
    ("GET", "/healthz", ANYBODY, 200),
    ("GET", "/readyz", ANYBODY, 200),
    ("GET", "/metrics", ANYBODY, 200),
    ("GET", "/openapi.json", ANYBODY, 200),
]


def row(entry):
    """Method, path, roles, status, body and the path to send it to."""
    method, path, roles, status, body, concrete = (*entry, None, None)[:6]
    return method, path, roles, status, body, concrete or path
