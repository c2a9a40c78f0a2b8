"""Run by alembic: applies the migrations on the connection that `state.database` gives."""

from __future__ import annotations

from alembic import context

from tenure.state.migrations import VERSION_TABLE

# The caller's transaction holds it all: a killed migration leaves the database as it was.
context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
