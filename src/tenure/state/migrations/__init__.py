"""Numbered changes to the state database, in order. `versions/` is never edited, only added to."""

from __future__ import annotations

from typing import Final

VERSION_TABLE: Final = "tenure_alembic_version"
"""A name of our own: other tools that use alembic may live in the same database."""

HEAD: Final = "0004"
"""The newest number, so that an up-to-date database opens without loading the migrations."""
