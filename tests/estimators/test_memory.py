"""The artifacts of a fit: the same names for the same content, and nothing under a wrong name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tenure.core.contract import Contract
from tenure.core.errors import ArtifactError
from tenure.estimators.memory import MemoryArtifacts, read_files, write_files


def test_equal_content_has_one_digest_and_comes_back(tmp_path: Path) -> None:
    kept = MemoryArtifacts(tmp_path)
    table = pl.DataFrame({"a": [1, 2, None], "b": ["x", None, "z"]})
    digest = kept.put_table(table)
    assert kept.put_table(table.clone()) == digest
    assert kept.get_table(digest).equals(table)
    others = [table.rename({"a": "c"}), table.reverse(), table.cast({"a": pl.Float64}), table[:2], table[["b", "a"]]]
    assert len({digest, *map(kept.put_table, others)}) == 6
    array = np.arange(6).reshape(2, 3)
    assert kept.put_array(array) == kept.put_array(array.copy())
    assert len({kept.put_array(part) for part in (array, array.T, array.astype(np.int16), array + 1)}) == 4
    assert kept.get_bytes(kept.put_bytes(b"content")) == b"content"
    record = Contract(columns=(), rows=3)
    assert kept.get_record(Contract, kept.put_record(record)) == record


def test_folders_are_kept_as_copies(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    write_files({"one.txt": b"1", "deep/two.txt": b"2"}, folder)
    kept = MemoryArtifacts(tmp_path / "kept")
    digest = kept.put_tree(folder)
    (folder / "one.txt").write_bytes(b"changed")
    assert read_files(kept.get_tree(digest)) == {"one.txt": b"1", "deep/two.txt": b"2"}
    assert kept.put_tree(folder) != digest


def test_what_is_not_there_or_something_else_is_refused(tmp_path: Path) -> None:
    kept = MemoryArtifacts(tmp_path)
    digest = kept.put_bytes(b"content")
    for get in (kept.get_table, kept.get_array, kept.get_tree):
        with pytest.raises(ArtifactError):
            get(digest)
    with pytest.raises(ArtifactError):
        kept.get_bytes("0" * 64)
