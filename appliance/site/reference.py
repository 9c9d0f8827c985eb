"""docs/reference/site.md, written from the schema: ``python -m appliance.site.reference`` prints it."""

from __future__ import annotations

import sys
from decimal import Decimal
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from appliance.site.cluster import ClusterSite
from appliance.site.config import SiteConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

HEAD = """\
# site.yaml

What an operator states about a site. The installer reports every mistake at once, each with its line. Unknown fields,
duplicate keys, anchors, aliases and tags are mistakes. Plain words are text: `off` is not false.

This page is written from `config.py`, `groups.py`, `served.py`, `backups.py`, `shapes.py` and `cluster.py` in
`appliance/site` (`python -m appliance.site.reference`); a test holds it current. An example:
`appliance/install/site.example.yaml`.
"""
CLUSTER = """
# The site file of a cluster

What `sovereign install --profile cluster` reads. Paths in it are relative to the file itself.
"""


def render() -> str:
    """The whole page."""
    pages = ("".join(_section(*found) for found in _models("", model)) for model in (SiteConfig, ClusterSite))
    return HEAD + CLUSTER.join(pages)


def _models(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in _fields(model):
        inner, many = _inner(field.annotation)
        if inner is not None:
            yield from _models(f"{path}{field.alias or name}{'[]' if many else ''}.", inner)


def _fields(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """A model's own fields, then those that it shares with another."""
    return sorted(model.model_fields.items(), key=lambda item: item[0] not in model.__annotations__)


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether it is repeated."""
    many = get_origin(annotation) is tuple
    found = (t for t in (annotation, *get_args(annotation)) if isinstance(t, type) and issubclass(t, BaseModel))
    return next(found, None), many


def _section(path: str, model: type[BaseModel]) -> str:
    title = path.rstrip(".") or ("top level" if model is SiteConfig else "top level of a cluster's file")
    rows = "".join(_row(field.alias or name, field) for name, field in _fields(model))
    text = " ".join((model.__doc__ or "").split())
    return f"\n## {title}\n\n{text}\n\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}"


def _row(name: str, field: FieldInfo) -> str:
    limits = _limits(field.metadata)
    kind = _kind(field.annotation) + (f", {limits}" if limits else "")
    return f"| `{name}` | {kind} | {_default(field)} | {field.description or ''} |\n"


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{a}`" for a in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin in {Union, UnionType}:
        return _kind(next(a for a in arguments if a is not type(None)))
    if hasattr(annotation, "__metadata__"):
        limits = _limits(annotation.__metadata__)
        return _kind(arguments[0]) + (f", {limits}" if limits else "")
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "fields below"
    return {str: "text", int: "number", float: "number", Decimal: "number", bool: "yes or no"}[annotation]


def _limits(metadata: Any) -> str:
    found = []
    for item in metadata:
        for limit in (item, *getattr(item, "metadata", ())):
            match limit:
                case Ge(ge=low):
                    found.append(f"at least {low}")
                case Gt(gt=low):
                    found.append(f"more than {low}")
                case Le(le=high):
                    found.append(f"at most {high}")
                case MinLen(min_length=count):
                    found.append(f"at least {count} of them")
                case _ if getattr(limit, "pattern", None):
                    found.append(f"matching `{limit.pattern}`".replace("|", "\\|"))
    return ", ".join(found)


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or isinstance(field.default, BaseModel):
        return ""
    if isinstance(field.default, tuple):
        return f"`[{', '.join(str(v) for v in field.default)}]`"
    return f"`{field.default}`"


if __name__ == "__main__":
    sys.stdout.write(render())
