"""The JSON Schema of what one caller may send to `POST /v2/images/{id}/import`, made of what discovery offers.

Rule: whatever the schema refuses, the import refuses too. So it speaks of what a request says (method, source,
stores) and of no more than patterns can tell; sizes, formats and conditions are for discovery and what-if.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from gateway.model.decision import Within
from gateway.policy.changes import Choices
from gateway.policy.facts import SOURCE_FACTS
from gateway.policy.offers import Offers
from gateway.policy.wording import said_within

Schema = dict[str, Any]

LONGEST_URI = 8192
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_END = "(?=[/?#]|$)"
_IPV6 = r"\[[0-9A-Fa-f:.]+\]"
_LABELS = r"[^/?#:@\[\]]+"
_FOREIGN = r"[^/?#]*[^\x00-\x7F]"
"""An authority in other letters: what it means in ASCII (IDNA) no pattern can tell."""

_URIS: Mapping[str, str] = {
    "s3-download": r"^[Ss]3:\/\/[^\/]+\/.",
    "oci-download": r"^[Oo][Cc][Ii]:\/\/[^\/]+\/.",
}
"""Methods whose URI is no URL: a bucket and a key, or a registry's name of an artifact."""

_UUID = "^[0-9a-fA-F-]{32,}$"
_REGION: Schema = {"type": "string", "minLength": 1, "maxLength": 255}


def import_schema(offered: Offers, choices: Choices) -> Schema:
    """Draft 2020-12. `anyOf` holds one alternative for each method and each way to be granted it; a caller who is
    offered nothing may send nothing.
    """
    ways = [_way(name, within, choices) for name in offered.methods for within in offered.decisions[name].within]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "name": "import",
        "title": "What this caller may send to import an image",
        "type": "object",
        "required": ["method"],
        "properties": {
            "method": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "stores": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "all_stores": {"type": "boolean", "description": "Import into every store."},
            "all_stores_must_succeed": {
                "type": "boolean",
                "description": "Whether one store's failure fails the import.",
                "default": True,
            },
        },
        "not": {"required": ["stores", "all_stores"], "properties": {"all_stores": {"const": True}}},
        **({"anyOf": ways} if ways else {"allOf": [False]}),
    }


def _way(method: str, within: Within, choices: Choices) -> Schema:
    stores = [store for store in choices.stores if within.stores is None or store in within.stores]
    said = said_within(within, method)
    return {
        "title": method,
        "description": f"{method}, {said}" if said else method,
        "properties": {
            "method": {"required": ["name", *_needs(method)], "properties": _fields(method, within, choices)},
            "stores": {"items": {"enum": stores}, "description": "The stores to import into."},
        },
    }


def _needs(method: str) -> list[str]:
    facts = SOURCE_FACTS.get(method, frozenset())
    if "request.host" in facts:
        return ["uri"]
    return ["glance_region", "glance_image_id"] if "request.region" in facts else []


def _fields(method: str, within: Within, choices: Choices) -> dict[str, Schema]:
    facts = SOURCE_FACTS.get(method, frozenset())
    found: dict[str, Schema] = {"name": {"const": method}}
    if "request.host" in facts:
        found["uri"] = {"type": "string", "maxLength": LONGEST_URI, "pattern": _URIS.get(method) or uri_pattern(within)}
        found["credential"] = _credential(within)
    if "request.region" in facts:
        found |= _regional(within, choices)
    return found


def _credential(within: Within) -> Schema:
    """Names of the operator's; nobody may ask for one unless it is granted."""
    words = {"description": "The operator's credential to show to the source."}
    return {**words, "enum": list(within.credentials)} if within.credentials else {**words, "not": {}}


def _regional(within: Within, choices: Choices) -> dict[str, Schema]:
    regions: Schema = {"enum": list(within.regions)} if within.regions is not None else {}
    examples: Schema = {"examples": list(choices.regions)} if choices.regions else {}
    return {
        "glance_region": {**_REGION, **regions, **examples},
        "glance_image_id": {"type": "string", "pattern": _UUID, "description": "The image's id over there."},
        "glance_service_interface": {**_REGION, "default": "public"},
    }


def uri_pattern(within: Within) -> str:
    """A regular expression (ECMA-262, and Python's) that every URL inside of `within` matches."""
    schemes = [scheme for scheme in _PORTS if within.schemes is None or scheme in within.schemes]
    origins = "|".join(part for scheme in schemes for part in _origins(scheme, within)) or "(?!)"
    return f"^(?:{origins})"


def _origins(scheme: str, within: Within) -> Iterator[str]:
    ports = list(_ports(scheme, within))
    if ports:
        hosts = "|".join([*map(_host, within.hosts)]) if within.hosts is not None else f"{_LABELS}|{_IPV6}"
        yield rf"{_letters(scheme)}:\/\/(?:(?:{hosts})(?:{'|'.join(ports)}){_END}|{_FOREIGN})"


def _ports(scheme: str, within: Within) -> Iterator[str]:
    """How a URL may name its port; empty where the scheme's own is meant."""
    if within.ports is None:
        yield "(?::[0-9]{1,5})?"
        return
    for port in within.ports:
        yield f"(?::0*{port})?" if port == _PORTS[scheme] else f":0*{port}"


def _host(pattern: str) -> str:
    """In letters of either case, a dot at the end or not; an IPv6 address in any spelling."""
    if pattern.startswith("*."):
        return rf"{_LABELS}\.{_letters(pattern[2:])}\.?"
    return _IPV6 if _is_ipv6(pattern) else rf"{_letters(pattern)}\.?"


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def _letters(text: str) -> str:
    return "".join(f"[{one.upper()}{one}]" if one.isalpha() else one.replace(".", r"\.") for one in text)
