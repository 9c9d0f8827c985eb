"""Alembic scripts of the gateway's database. Run by ``appliance.gateway.schema_upgrade.migrate``."""
