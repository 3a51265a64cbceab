"""Metadata definitions as the Images API shows them; fields without a value are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from gateway.api.wire import moment
from gateway.metadefs.library import Opened
from gateway.metadefs.records import Definition, Kind, Namespace, ResourceType

Json = dict[str, Any]

NAMESPACES = "/v2/metadefs/namespaces"
_SCHEMAS = "/v2/schemas/metadefs"


def namespace_url(name: str) -> str:
    """A path in US-ASCII; colons stay, as names are full of them."""
    return f"{NAMESPACES}/{quote(name, safe=':')}"


def namespace_json(opened: Opened) -> Json:
    """A namespace and what is opened of it; kinds it has nothing of are left out."""
    namespace = opened.namespace
    contents = {field: shown for field, shown in _contents(opened).items() if shown}
    return {
        **_fields(namespace),
        **contents,
        "self": namespace_url(namespace.namespace),
        "schema": f"{_SCHEMAS}/namespace",
        **_times(namespace),
    }


def namespaces_json(page: Sequence[Opened], query: Iterable[tuple[str, str]], *, more: bool) -> Json:
    """`query` is the request's own, kept in the links but for its marker; `more` adds `next`."""
    kept = [(key, value) for key, value in query if key != "marker"]
    links = {"first": _link(kept), "schema": f"{_SCHEMAS}/namespaces"}
    if more and page:
        links["next"] = _link([*kept, ("marker", page[-1].namespace.namespace)])
    return {"namespaces": [namespace_json(opened) for opened in page], **links}


def prefixed(opened: Opened, resource_type: str | None) -> Opened:
    """The keys as `resource_type` spells them, where the namespace's association with it has a prefix."""
    prefix = next((one.body.get("prefix") for one in _of(opened, Kind.ASSOCIATION) if one.name == resource_type), None)
    if not prefix:
        return opened
    return replace(opened, contents=[_prefixed(one, prefix) for one in opened.contents])


def object_json(namespace: str, one: Definition) -> Json:
    links = {"self": f"{namespace_url(namespace)}/objects/{quote(one.name, safe=':')}", "schema": f"{_SCHEMAS}/object"}
    return {"name": one.name, **one.body, **links, **_times(one)}


def objects_json(namespace: str, found: Sequence[Definition]) -> Json:
    """The link to the schema has no leading slash: so the Images API has it."""
    return {"objects": [object_json(namespace, one) for one in found], "schema": "v2/schemas/metadefs/objects"}


def property_json(namespace: str, one: Definition) -> Json:
    return {**one.body, "name": one.name}


def properties_json(namespace: str, found: Sequence[Definition]) -> Json:
    return {"properties": {one.name: dict(one.body) for one in found}}


def tag_json(namespace: str, one: Definition) -> Json:
    return {"name": one.name, **_times(one)}


def tags_json(namespace: str, found: Sequence[Definition]) -> Json:
    """Names alone."""
    return {"tags": [{"name": one.name} for one in found]}


def association_json(namespace: str, one: Definition) -> Json:
    return {"name": one.name, **one.body, **_times(one)}


def associations_json(namespace: str, found: Sequence[Definition]) -> Json:
    return {"resource_type_associations": [association_json(namespace, one) for one in found]}


def resource_types_json(found: Sequence[ResourceType]) -> Json:
    return {"resource_types": [{"name": one.name, **_times(one)} for one in found]}


def _contents(opened: Opened) -> Json:
    name = opened.namespace.namespace
    return {
        **associations_json(name, _of(opened, Kind.ASSOCIATION)),
        **properties_json(name, _of(opened, Kind.PROPERTY)),
        "objects": [object_json(name, one) for one in _of(opened, Kind.OBJECT)],
        "tags": [tag_json(name, one) for one in _of(opened, Kind.TAG)],
    }


def _of(opened: Opened, kind: Kind) -> list[Definition]:
    return [one for one in opened.contents if one.kind is kind]


def _prefixed(one: Definition, prefix: str) -> Definition:
    if one.kind is Kind.PROPERTY:
        return replace(one, name=prefix + one.name)
    if one.kind is Kind.OBJECT:
        return replace(one, body={**one.body, **_prefixed_keys(one.body, prefix)})
    return one


def _prefixed_keys(body: Mapping[str, Any], prefix: str) -> Json:
    keys: Json = {}
    if "properties" in body:
        keys["properties"] = {prefix + name: value for name, value in body["properties"].items()}
    if "required" in body:
        keys["required"] = [prefix + name for name in body["required"]]
    return keys


def _fields(namespace: Namespace) -> Json:
    names = ("namespace", "display_name", "description", "visibility", "protected", "owner")
    values = {name: getattr(namespace, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _times(record: Namespace | Definition | ResourceType) -> Json:
    return {"created_at": moment(record.created_at), "updated_at": moment(record.updated_at)}


def _link(query: Sequence[tuple[str, str]]) -> str:
    return f"{NAMESPACES}?{urlencode(query)}" if query else NAMESPACES
