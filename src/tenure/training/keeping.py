"""Keep a fitted model: its folder goes into the artifact store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import polars as pl

from tenure.core.ports import Context
from tenure.model.bundle import write_bundle
from tenure.model.fitted import FittedModel

_STORED_ROWS: Final = 100


def kept(ctx: Context, model: FittedModel, clean: pl.DataFrame) -> str:
    """Write the model's folder into the artifact store, with rows of the clean table, and return its digest."""
    sample = clean.gather_every(max(clean.height // _STORED_ROWS, 1))
    with tempfile.TemporaryDirectory(prefix="tenure-model-") as folder:
        write_bundle(model, Path(folder), sample=sample)
        return ctx.artifacts.put_tree(Path(folder))
