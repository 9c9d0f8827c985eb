"""Documents that people brought on the page. Pure; everything by keyword. Those of operators are ``admin_change``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit import ocsf
from appliance.audit.ocsf import Event, envelope, text

if TYPE_CHECKING:
    from datetime import datetime


def document_change(
    *, subject: str, groups: tuple[str, ...], digest: str, detail: str, at: datetime | None = None
) -> Event:
    """Somebody brought a document: the ``digest`` of its file, and in ``detail`` what came of it and for whom.

    By digest: names and titles of documents would outlive them in a log that forgets nothing.
    """
    return envelope(
        ocsf.ENTITY_MANAGEMENT,
        1,
        ours={"kind": "document_change", "detail": text(detail)},
        at=at,
        fields={
            "actor": {"user": ocsf.user(subject, groups)},
            "entity": {"name": text(digest), "type": "document"},
        },
    )
