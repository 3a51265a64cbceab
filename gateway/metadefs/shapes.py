"""The shapes of metadata definitions, by the names that contracts give them: for `/openapi.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.metadefs.schemas import SERVED, TAGS, TYPES, Schema


def _component(schema: Schema) -> Schema:
    """Shared definitions under the key that the current dialect of JSON Schema has for them."""
    spelled = json.dumps(schema).replace("#/definitions/", "#/$defs/")
    found: Schema = json.loads(spelled)
    definitions = found.pop("definitions", None)
    return found | ({} if definitions is None else {"$defs": definitions}) | {"type": "object"}


SHAPES: Mapping[str, Schema] = {
    **{f"metadef-{name}": _component(schema) for name, schema in SERVED.items()},
    "metadef-types": _component(TYPES),
    "metadef-new-tags": _component(TAGS),
}
