"""Requests for whichever engine this checkout holds: what its protocol does not know yet is left out.

Scopes say which part of a prompt the site or a group wrote, so that it may be shared; ``replay`` asks for an empty
context. An engine without these shares nothing and always begins empty.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from appliance.engine.protocol import Request
from appliance.site.served import Model

_KNOWN = frozenset(field.name for field in fields(Request))


def request(**given: Any) -> Request:
    """A request of those of ``given`` that the protocol knows."""
    return Request(**{name: value for name, value in given.items() if name in _KNOWN})


def model_fields(**given: Any) -> dict[str, Any]:
    """Those of ``given`` that site.yaml knows of a model."""
    return {name: value for name, value in given.items() if name in Model.model_fields}
