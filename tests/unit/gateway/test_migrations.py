"""The schema has one history: a gateway that starts knows what follows what."""

from __future__ import annotations

from alembic.config import Config
from alembic.script import ScriptDirectory


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "appliance.gateway:migrations")
    return ScriptDirectory.from_config(config)


def test_there_is_one_latest_revision_and_one_way_to_it() -> None:
    """Two branches that each add a revision merge without a conflict; which is the second has to be decided."""
    scripts = _scripts()
    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1
    assert not [one.revision for one in scripts.walk_revisions() if one.is_branch_point or one.is_merge_point]
