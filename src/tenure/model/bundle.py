"""The folder that a model lives in: text and arrays, a SHA-256 for each file, rows with the answers they must give.

bundle.json      what the model is: task, classes, schema, contract, threshold, weights
plan.json        the column plan; plan-*.npy its arrays
members/         one or more files for each member
rows.json        up to 100 rows and the answers that the model gave for them
MANIFEST.json    the SHA-256 of every other file
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from math import isclose, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.errors import BundleError
from tenure.core.modelling import Task
from tenure.core.plugins import built_in, plugin
from tenure.core.records import canonical, plain
from tenure.model.correction import Correction
from tenure.model.fitted import FittedModel, WeightedMember
from tenure.model.intervals import ProbabilityCurve, ProbabilityInterval, ValueInterval
from tenure.model.plan import ColumnPlan
from tenure.model.program import RowProgram
from tenure.model.values import number_of, text_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FittedModel", "WeightedMember", "check_rows", "read_bundle", "write_bundle"]

FORMAT: Final = "tenure-bundle"
FORMAT_VERSION: Final = 3
_OLDEST_VERSION: Final = 1
"""Version 1 held one pair for the interval of a value, and neither curve nor interval of a probability; version 2 no
correction."""
_SINCE: Final = {"curve": 2, "correction": 3}
_MANIFEST: Final = "MANIFEST.json"
_STORED_ROWS: Final = 100
_TOLERANCE: Final = 1e-9
_HINT: Final = "Restore the model folder from a backup, or roll back to an earlier version: tenure rollback."
_RULE_NUMBERS: Final = ("null_share", "max_null_share", "low", "high", "q01", "q50", "q99")
_PLAIN: Final = (
    "task",
    "classes",
    "target",
    "schema",
    "contract",
    "temperature",
    "threshold",
    "threshold_reason",
    "interval",
    "metric",
    "key",
    "time",
    "probability_interval",
    "curve",
    "correction",
)


def write_bundle(model: FittedModel, folder: Path, *, sample: pl.DataFrame) -> None:
    """Write a model into an empty folder; equal models and samples give equal bytes.

    `sample` holds raw rows; up to 100 of them, evenly spaced, are stored with the answers they must give.
    """
    (folder / "members").mkdir(parents=True, exist_ok=True)
    _write(folder / "bundle.json", _about(model, folder))
    _write(folder / "plan.json", model.plan.to_dict())
    for name, array in model.plan.arrays().items():
        np.save(folder / f"plan-{name}.npy", array, allow_pickle=False)
    _write(folder / "rows.json", _stored_rows(model, sample))
    manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, "files": _digests(folder)}
    _write(folder / _MANIFEST, manifest)


def read_bundle(folder: Path) -> FittedModel:
    """Read a model after checking every file against the manifest.

    Raises:
        BundleError: a file is missing, added, changed, of another format, or does not fit the others.
    """
    version = _check_manifest(folder)
    try:
        return _model(folder, version)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BundleError(
            f"The files of the model do not fit together: {error}.", where=str(folder), hint=_HINT
        ) from error


def check_rows(program: RowProgram, folder: Path) -> None:
    """Answer the stored rows again.

    Raises:
        BundleError: an answer differs from the stored one by more than 1e-9.
    """
    stored = _read(folder / "rows.json")
    for at, (row, expected) in enumerate(zip(stored["rows"], stored["answers"], strict=True)):
        answer = program.raw(row)
        if not all(
            isclose(*pair, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE) for pair in zip(answer, expected, strict=True)
        ):
            raise BundleError(
                f"The model no longer gives its stored answer for row {at + 1}: {list(answer)}, not {expected}.",
                where=str(folder / "rows.json"),
                hint="Use the machine and library versions it was made with, or train and release it again.",
            )


def _about(model: FittedModel, folder: Path) -> dict[str, Any]:
    """Return bundle.json, after saving the members."""
    members = [
        {
            "name": part.name,
            "weight": part.weight,
            "kind": part.member.kind,
            "spec": part.member.save(folder / "members", f"{at:02d}"),
        }
        for at, part in enumerate(model.members)
    ]
    return {name: plain(getattr(model, name)) for name in _PLAIN} | {"members": members}


def _model(folder: Path, version: int) -> FittedModel:
    about = _read(folder / "bundle.json")
    if any((name in about) != (version >= since) for name, since in _SINCE.items()):
        raise ValueError(f"bundle.json is not of format {version}")
    arrays = {path.stem.removeprefix("plan-"): np.load(path, allow_pickle=False) for path in folder.glob("plan-*.npy")}
    members = tuple(
        WeightedMember(
            part["name"], float(part["weight"]), _member_loader(part["kind"])(folder / "members", part["spec"])
        )
        for part in about["members"]
    )
    interval, sure, curve = (about.get(name) for name in ("interval", "probability_interval", "curve"))
    correction = about.get("correction")
    return FittedModel(
        task=Task(about["task"]),
        classes=tuple(about["classes"]),
        target=about["target"],
        schema=_schema(about["schema"]),
        contract=_contract(about["contract"]),
        plan=ColumnPlan.from_dict(_read(folder / "plan.json"), arrays),
        members=members,
        temperature=float(about["temperature"]),
        threshold=about["threshold"],
        threshold_reason=about["threshold_reason"],
        interval=ValueInterval.from_data(interval) if interval else None,
        metric=about["metric"],
        key=about["key"],
        time=about["time"],
        probability_interval=ProbabilityInterval.from_data(sure) if sure else None,
        curve=ProbabilityCurve.from_data(curve) if curve else None,
        correction=Correction(float(correction["slope"]), tuple(map(float, correction["offsets"])))
        if correction
        else None,
    )


def _schema(data: Mapping[str, Any]) -> Schema:
    return Schema(
        tuple(
            Column(**column | {"kind": Kind(column["kind"]), "role": Role(column["role"])})
            for column in data["columns"]
        )
    )


def _contract(data: Mapping[str, Any]) -> Contract:
    return Contract(tuple(map(_rule, data["columns"])), data["rows"], tuple(data["made_from"]))


def _rule(data: Mapping[str, Any]) -> ColumnRule:
    """Return a rule as it was: whole floats are stored as integers, infinite ones as text."""
    read = dict(data)
    for name in _RULE_NUMBERS:
        read[name] = None if data[name] is None else float(data[name])
    read["kind"], read["role"] = Kind(data["kind"]), Role(data["role"])
    read["levels"] = None if data["levels"] is None else tuple(data["levels"])
    return ColumnRule(**read)


def _member_loader(kind: str) -> Callable[[Path, Mapping[str, Any]], Any]:
    """Return what reads a member; ours come first, since going through all installed packages takes its time."""
    loader: Callable[[Path, Mapping[str, Any]], Any] = (built_in("member", kind) or plugin("member", kind)).load
    return loader


def _stored_rows(model: FittedModel, sample: pl.DataFrame) -> dict[str, Any]:
    """Return rows as JSON knows them, and the answers for just these values."""
    step = max(1, -(-sample.height // _STORED_ROWS))
    chosen = sample.select(model.plan.inputs).gather_every(step)
    rows = [{name: _stored_value(value) for name, value in row.items()} for row in chosen.iter_rows(named=True)]
    program = RowProgram(model)
    return {"rows": rows, "answers": [list(program.raw(row)) for row in rows]}


def _stored_value(value: Any) -> str | float | int | bool | None:
    """Return a raw value as JSON; what JSON cannot say becomes text that reads the same."""
    if isinstance(value, timedelta):
        return number_of(value)
    if isinstance(value, float) and not isfinite(value):
        return None
    return value if isinstance(value, str | float | int | bool) else text_of(value)


def _digests(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path != folder / _MANIFEST)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _check_manifest(folder: Path) -> int:
    """Return the format version, after comparing every file with the manifest."""
    manifest = _manifest(folder)
    expected: dict[str, str] = manifest["files"]
    found = _digests(folder)
    missing, added = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    changed = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
    for names, what in ((missing, "missing"), (changed, "changed since it was written"), (added, "not part of it")):
        if names:
            raise BundleError(
                f"The stored model is damaged: the file {names[0]} is {what}.", where=str(folder / names[0]), hint=_HINT
            )
    return int(manifest["format_version"])


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest; it must be exactly the bytes that we write, so that no change to it goes unseen."""
    path = folder / _MANIFEST
    try:
        content = path.read_bytes()
        manifest = json.loads(content)
    except FileNotFoundError as error:
        raise BundleError(f"There is no model in {folder}.", where=str(path), hint=_HINT) from error
    except ValueError as error:
        raise BundleError("The manifest of the model is damaged.", where=str(path), hint=_HINT) from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BundleError(
            f"The model has format {version}; this version reads up to {FORMAT_VERSION}.",
            where=str(path),
            hint="Install a newer version of tenure.",
        )
    whole = isinstance(manifest, dict) and manifest.keys() == {"format", "format_version", "files"}
    if not whole or canonical(manifest) != content or manifest["format"] != FORMAT or not _is_readable(version):
        raise BundleError("The manifest of the model is damaged.", where=str(path), hint=_HINT)
    return dict(manifest)


def _is_readable(version: object) -> bool:
    return isinstance(version, int) and not isinstance(version, bool) and _OLDEST_VERSION <= version <= FORMAT_VERSION


def _write(path: Path, content: object) -> None:
    path.write_bytes(canonical(content))


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())
