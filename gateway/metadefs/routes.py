"""Every route of metadata definitions, in one list, each with what it takes and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial, update_wrapper

from starlette.routing import BaseRoute

from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.verbs import Action, resource
from gateway.metadefs.definitions import ASSOCIATIONS, OBJECTS, PROPERTIES, TAGS, Definitions, Properties, Tags
from gateway.metadefs.namespaces import Namespaces
from gateway.metadefs.schemas import SERVED
from gateway.metadefs.wire import NAMESPACES

ONE = f"{NAMESPACES}/{{namespace}}"
_READ, _WRITE, _NAME = (403,), (403, 404, 409), (403, 404)


def routes(front: Front) -> list[BaseRoute]:
    namespaces = Namespaces(front)
    return [
        *(resource(f"/v2/schemas/metadefs/{name}", get=_schema(namespaces, name)) for name in SERVED),
        resource("/v2/metadefs/resource_types", get=_says(namespaces.resource_types, 200, "types", refuses=_READ)),
        resource(
            NAMESPACES,
            get=_says(namespaces.index, 200, "namespaces", refuses=_NAME),
            post=_says(namespaces.create, 201, "namespace", takes="namespace", refuses=_WRITE),
        ),
        resource(
            ONE,
            get=_says(namespaces.show, 200, "namespace"),
            put=_says(namespaces.update, 200, "namespace", takes="namespace", refuses=_WRITE),
            delete=_says(namespaces.delete, 204, refuses=_NAME),
        ),
        *_associations(Definitions(front, ASSOCIATIONS)),
        *_definitions("objects", Definitions(front, OBJECTS), "object"),
        *_definitions("properties", Properties(front, PROPERTIES), "property"),
        *_tags(Tags(front, TAGS)),
    ]


def _associations(associations: Definitions) -> Iterator[BaseRoute]:
    yield resource(
        f"{ONE}/resource_types",
        get=_says(associations.index, 200, "resource_types"),
        post=_says(associations.create, 201, "resource_type", takes="resource_type", refuses=_WRITE),
    )
    yield resource(f"{ONE}/resource_types/{{name}}", delete=_says(associations.delete, 204, refuses=_NAME))


def _definitions(many: str, actions: Definitions, one: str) -> Iterator[BaseRoute]:
    yield resource(
        f"{ONE}/{many}",
        get=_says(actions.index, 200, many),
        post=_says(actions.create, 201, one, takes=one, refuses=_WRITE),
        delete=_says(actions.clear, 204, refuses=_NAME),
    )
    yield resource(
        f"{ONE}/{many}/{{name}}",
        get=_says(actions.show, 200, one),
        put=_says(actions.update, 200, one, takes=one, refuses=_WRITE),
        delete=_says(actions.delete, 204, refuses=_NAME),
    )


def _tags(tags: Tags) -> Iterator[BaseRoute]:
    yield resource(
        f"{ONE}/tags",
        get=_says(tags.index, 200, "tags"),
        post=_says(tags.create, 201, "tags", takes="new-tags", refuses=_WRITE),
        delete=_says(tags.clear, 204, refuses=_NAME),
    )
    yield resource(
        f"{ONE}/tags/{{name}}",
        get=_says(tags.show, 200, "tag"),
        post=_says(tags.create_one, 201, "tag", refuses=_WRITE),
        put=_says(tags.update, 200, "tag", takes="tag", refuses=_WRITE),
        delete=_says(tags.delete, 204, refuses=_NAME),
    )


def _schema(namespaces: Namespaces, name: str) -> Action:
    return contract({200: "schema"})(namespaces.schema(SERVED[name]))


def _says(
    action: Action, status: int, answer: str | None = None, *, takes: str | None = None, refuses: Iterable[int] = ()
) -> Action:
    """The action under a contract of its own: one method serves several kinds, each with its own schemas."""
    said = contract({status: _shape(answer)}, takes=_shape(takes), refuses=refuses)
    return said(update_wrapper(partial(action), action))


def _shape(name: str | None) -> str | None:
    return None if name is None else f"metadef-{name}"
