"""Alembic environment: runs on the connection that ``schema_upgrade.migrate`` hands over, nowhere else."""

from __future__ import annotations

from alembic import context

from appliance.gateway.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
