"""Alembic scripts of the gateway's database. Run by ``appliance.gateway.database.migrate``."""
