"""Groups whose people are answered by or under what no gate knows, though one judged them before.

Weights come under a name that people know with a release, a bundle or a promotion; each takes place at once, and back
again. What a gate let pass or found in force is in the record (``judged``), what answers now the gateway says. Words
come past the gate where the installed site.yaml is edited itself: services read it when they start.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError
from appliance.install.judged import read, refusal, unjudged_parts
from appliance.install.probe import Probe, answers, fetch_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.install.judged import Judged
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

WEIGHTS = "/weights"
"""Of the gateway's management port: digests by model."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def gate_warnings(config: SiteConfig, paths: SitePaths, port: Probe | None = None) -> tuple[str, ...]:
    """A line about the installed ``config``, and one for each model that answers by such weights.

    The gateway is asked at ``port`` where a gate ever judged. Nothing of models that no gate judged, of groups that
    ``learning.ungated`` frees, or where no gateway runs.
    """
    if not os.access(paths.judged, os.R_OK):  # none was kept, or it is not the caller's to read
        return ()
    try:
        record = read(paths.judged)
        edited = unjudged_parts(record, config)
    except DeploymentError as error:
        return (error.cause,)
    words = (
        [f"the installed {refusal(edited)}: put back what was there, or try it as a change (`learning.changes`)"]
        if edited
        else []
    )
    if not any(one.weights for one in record.values()):
        return tuple(words)
    asked = port or Probe("http", f"127.0.0.1:{config.listen.management_port}", WEIGHTS)
    told = fetch_json(asked)
    if not isinstance(told, dict):  # where it does not run, its row says so
        silent = answers(replace(asked, path="/healthz"))
        return (*words, *(["the gateway does not say which weights answer"] if silent else []))
    return (*words, *unknown_weights(config, record, told))


def unknown_weights(config: SiteConfig, record: Mapping[str, Judged], told: Mapping[str, object]) -> tuple[str, ...]:
    """As ``gate_warnings``, of what the gateway ``told``, which may be hostile. Pure."""
    warned = []
    for model in config.models:
        digest = told.get(model.name)
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            continue
        groups = [
            group.name
            for group in config.groups
            if model.name in group.models
            and group.name not in config.learning.ungated
            and (known := record.get(group.name)) is not None
            and digest not in known.weights.get(model.name, (digest,))
        ]
        if groups:
            warned.append(
                f"{model.name} answers {', '.join(groups)} by weights {digest[:19]}… that no gate let pass: "
                f"`sovereign learn evaluate --model {model.name} --group {groups[0]}`, then `learn gate` with the "
                "results of before; or take them back"
            )
    return tuple(warned)
