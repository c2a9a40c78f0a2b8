"""What a member, one fitted model as data, promises."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from tenure.core.modelling import Floats
from tenure.core.plugins import plugin
from tenure.core.ports import Member
from tenure.testing.contracts.promises import Promise, bound, promised, same_numbers

_PICKLE: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_STEM: Final = "member-7"


def member_contract(member: Member, matrix: Floats, *, project: Path | None = None) -> Iterator[Promise]:
    """Yield the promises of a fitted member on an encoded matrix (n, d); NaN in it stands for missing."""
    yield from bound((_survives_its_own_save_and_load,), member, matrix, project)
    yield from bound((_is_saved_as_data,), member)
    yield from bound(
        (_answers_a_row_alone_as_in_company, _answers_empty_rows, _answers_no_rows, _changes_nothing),
        member,
        matrix,
    )


def _survives_its_own_save_and_load(member: Member, matrix: Floats, project: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spec: Any = json.loads(json.dumps(member.save(Path(folder), _STEM)))
        again = plugin("member", member.kind, project=project).load(Path(folder), spec)
        said = again.predict(matrix)
    promised(same_numbers(member.predict(matrix), said), f"{member.kind}: what was loaded predicts otherwise")


def _is_saved_as_data(member: Member) -> None:
    with tempfile.TemporaryDirectory() as folder:
        json.dumps(member.save(Path(folder), _STEM), allow_nan=False)
        for path in Path(folder).rglob("*"):
            promised(path.name.startswith(_STEM), f"{member.kind}: the file {path.name} does not start with its stem")
            promised(not path.read_bytes().startswith(_PICKLE), f"{member.kind}: {path.name} is a pickle")


def _answers_a_row_alone_as_in_company(member: Member, matrix: Floats) -> None:
    rows = matrix[:25]
    alone = np.concatenate([member.predict(row[None, :]) for row in rows])
    apart = float(np.max(np.abs(member.predict(matrix)[:25] - alone)))
    promised(apart <= 1e-12, f"{member.kind}: a row alone is answered differently, by {apart:.2g}")


def _answers_empty_rows(member: Member, matrix: Floats) -> None:
    said = member.predict(np.full((3, matrix.shape[1]), np.nan))
    promised(bool(np.isfinite(said).all()), f"{member.kind}: a row of empty cells gives {said}")


def _answers_no_rows(member: Member, matrix: Floats) -> None:
    said, usual = member.predict(np.empty((0, matrix.shape[1]))), member.predict(matrix[:1])
    promised(said.shape == (0, *usual.shape[1:]), f"{member.kind}: no rows give the shape {said.shape}")


def _changes_nothing(member: Member, matrix: Floats) -> None:
    before = matrix.copy()
    member.predict(matrix)
    promised(same_numbers(before, matrix), f"{member.kind}: predicting changed the matrix")
