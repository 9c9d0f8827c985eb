"""What a host should offer where site.yaml declares backups, as data."""

from __future__ import annotations

from appliance.install.preflight.rule import Rule

BACKUP: tuple[Rule, ...] = (
    Rule(
        "backup folders",
        "advised",
        lambda f, _: not f.backup_faults,
        lambda f, n: "; ".join(f.backup_faults) or ("as declared" if n.config.backup else "none declared"),
        lambda _f, _n: "on mounted media, where site.yaml declares backups",
        "mount both media and make the folders, else no backup is made; or change `backup` in site.yaml",
    ),
    Rule(
        "backup media",
        "advised",
        lambda f, _: not f.backup_together,
        lambda f, n: "one medium for both" if f.backup_together else "two" if n.config.backup else "none declared",
        lambda _f, _n: "the keys of people's contents on a medium of their own",
        "name a folder on another medium in backup.subject_keys: who finds both has what people wrote",
    ),
)
