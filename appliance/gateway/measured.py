"""Of which groups answers say how sure they are at this moment, and why those of others do not.

Asked as a question is: pack, brief, adapter and settings are those in force now. While a change is rolled out to a
share of a group, what is told here is of the arm that has it not: the other is another setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.gateway.briefs import IN_FORCE
from appliance.gateway.entitlements import grant
from appliance.gateway.errors import HttpError
from appliance.gateway.grounding import Grounding
from appliance.gateway.judging import BETA

if TYPE_CHECKING:
    from appliance.gateway.assembly import Gateway
    from appliance.site.groups import Group


async def measured(gateway: Gateway) -> list[dict[str, Any]]:
    """A row for each group with the feature, each of its chat models, and answers with and without documents.

    Where that cannot be told, ``refused`` says why.
    """
    rows: list[dict[str, Any]] = []
    for group in gateway.site.groups:
        for model in group.models if BETA in group.beta else ():
            try:
                rows += await _of_model(gateway, group, model)
            except HttpError as error:
                rows.append({"group": group.name, "model": model, "refused": error.cause})
    return rows


async def _of_model(gateway: Gateway, group: Group, model: str) -> list[dict[str, Any]]:
    info = await gateway.catalogue.model(model)
    if info.record.get("role", "chat") != "chat":
        return []
    found = await gateway.packs.under(grant(gateway.site, (group.name,), model))
    found = await gateway.briefs.told(found, IN_FORCE)
    by = await gateway.documents.looked_up_by(found.looking)
    sorts = {False: None} if by is None else {False: None, True: Grounding((), looked_up_by=by)}
    return [
        {
            "group": group.name,
            "model": model,
            "documents": documents,
            **await gateway.measuring.standing(found, info, grounding, grounded=documents),
        }
        for documents, grounding in sorts.items()
    ]
