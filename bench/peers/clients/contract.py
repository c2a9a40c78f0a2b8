"""Schemathesis over the OpenAPI document: cases made from what the server says of itself."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Final

from peers.clients.board import Line, Target
from peers.clients.raw import get

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)
LEFT_OUT: Final = {
    "negative_data_rejection": "runs on the strict server only; 'coerce' is there to answer cells of another type than "
    "the contract's",
    "positive_data_acceptance": "runs on the open server only, for 'strict' refuses values beyond the contract's "
    "ranges; and not on routes whose bodies follow rules between their parts, which JSON Schema cannot say: an id for "
    "each row, a cell for each column, data that fill their shape, a class of the model",
    "object_level_authorization": "needs things that belong to one caller; here there are none",
}
_CONFIG: Final = """
[parameters]
"path.model" = "project"
"path.version" = "1"

[checks]
{checks}

[[operations]]
include-path-regex = "^/(predict|outcomes|invocations)$|/infer$|:predict$"
checks.positive_data_acceptance.enabled = false
"""
_HOOKS: Final = """
import schemathesis


@schemathesis.serializer("text/csv", "application/csv")
def csv_text(ctx, value):
    return value.encode() if isinstance(value, str) else str(value).encode()
"""
_LIMIT: Final = "60"
_SECONDS: Final = 1_800


def fuzz(target: Target, program: Path, *, cases: int, is_strict: bool, name: str) -> tuple[list[Line], int]:
    """Return what schemathesis found, and how many of its cases were answered.

    `cases` is how many to make for each route at most; not all that are made are sent.
    """
    left_out = {"negative_data_rejection"} if not is_strict else {"positive_data_acceptance"}
    folder = target.folder / f"schemathesis-{name}"
    folder.mkdir()
    checks = [f"{check}.enabled = {str(check not in left_out).lower()}" for check in CHECKS]
    (folder / "schemathesis.toml").write_text(_CONFIG.format(checks="\n".join(checks)))
    (folder / "hooks.py").write_text(_HOOKS)
    before = _codes(target)
    command = [program, "--no-color", "run", f"{target.url}/openapi.json", "-n", str(cases), "--seed", "1"]
    command += ["--continue-on-failure", "--suppress-health-check", "all"]
    command += ["--request-timeout", _LIMIT, "--max-response-time", _LIMIT]
    if target.secret is not None:
        command += ["-H", f"Authorization: Bearer {target.secret}"]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks"},
    )
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    codes = _codes(target)
    codes.subtract(before)
    faults = sum(many for code, many in codes.items() if code >= 500)
    told = ", ".join(f"{code}: {many:,}" for code, many in sorted(codes.items()) if many)
    failures = re.findall(r"^(?:_{2,} (.+) _{2,}|- (ST\d+ .+)|    (Invalid component: .+))$", done.stdout, re.MULTILINE)
    count = sum(codes.values())
    return [
        Line(f"{name}: {count:,} answers by status, as the server counted", told, faults == 0),
        Line(f"{name}: failed checks", "; ".join(map("".join, failures)) or "none", done.returncode == 0),
    ], count


def _codes(target: Target) -> Counter[int]:
    """Return how many requests the server answered with each status."""
    text = get(target, "/metrics").body.decode()
    codes: Counter[int] = Counter()
    for code, many in re.findall(r'tenure_requests_total\{[^}]*code="(\d+)"[^}]*\} (\S+)', text):
        codes[int(code)] += int(float(many))
    return codes
