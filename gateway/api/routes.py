"""Every route of the service, in one list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.routing import BaseRoute

from gateway.api.actions import Actions
from gateway.api.approvals import PATH as APPROVALS
from gateway.api.approvals import Approvals
from gateway.api.asking import Asking
from gateway.api.behind_routes import behind_routes
from gateway.api.break_glass import PATH as BREAK_GLASS
from gateway.api.break_glass import BreakGlass
from gateway.api.data import Data
from gateway.api.discovery import Discovery
from gateway.api.front import Front
from gateway.api.health import Health
from gateway.api.image_schema import ImageRules, Schema
from gateway.api.image_values import ImageReader
from gateway.api.images import Images
from gateway.api.imports import Imports
from gateway.api.locations import Locations
from gateway.api.members import Members
from gateway.api.openapi import OpenApi
from gateway.api.receipts import Receipts
from gateway.api.record_schemas import Schemas
from gateway.api.resumable import Resumable
from gateway.api.shapes import shapes
from gateway.api.stops import Stops
from gateway.api.stores import Stores
from gateway.api.tasks import Tasks
from gateway.api.usage import Usage
from gateway.api.verbs import resource


def routes(
    front: Front, rules: ImageRules, more: Iterable[BaseRoute] = (), more_shapes: Mapping[str, Schema] | None = None
) -> list[BaseRoute]:
    """`more` routes, and the shapes their contracts name, come from folders that settings switch on."""
    reader = ImageReader(rules)
    ours = gateway_routes(front, reader)
    if front.passing is not None:
        listed = [*behind_routes(front, front.passing, ours), *more]
    else:
        listed = [*ours, *site_routes(front), *schema_routes(front, reader), *image_routes(front, reader), *more]
    listed.append(resource("/openapi.json", get=OpenApi(listed, {**shapes(rules), **(more_shapes or {})}).show))
    return listed


def gateway_routes(front: Front, reader: ImageReader) -> list[BaseRoute]:
    """What no other image service has: imports by policy, and what the gateway says of itself."""
    discovery, glass, asking = Discovery(front), BreakGlass(front), Asking(front, reader.rules)
    health, stops, approvals = Health(front), Stops(front), Approvals(front)
    return [
        resource("/healthcheck", get=health.show),
        resource("/metrics", get=health.metrics),
        resource("/v2/info/import", get=discovery.methods),
        resource(APPROVALS, get=approvals.index),
        resource(f"{APPROVALS}/{{import_id}}", post=approvals.decide),
        resource(BREAK_GLASS, get=glass.index, post=glass.create),
        resource(f"{BREAK_GLASS}/{{opening_id}}", delete=glass.delete),
        resource("/v2/info/import/stops", get=stops.index, post=stops.create),
        resource("/v2/info/import/stops/{stop_id}", delete=stops.lift),
        resource("/v2/info/import/receipt-key", get=Receipts(front).keys),
        resource("/v2/schemas/import", get=asking.import_schema),
        resource("/v2/info/import/what-if", post=asking.what_if),
    ]


def site_routes(front: Front) -> list[BaseRoute]:
    """What the site is and what it is doing."""
    discovery, stores, tasks = Discovery(front), Stores(front), Tasks(front)
    return [
        resource("/", get=discovery.choices),
        resource("/versions", get=discovery.versions),
        resource("/v2/info/stores", get=stores.index),
        resource("/v2/info/stores/detail", get=stores.detail),
        resource("/v2/info/usage", get=Usage(front).show, otherwise=404),  # as Glance answers, here alone
        resource("/v2/stores/{store_id}/{image_id}", delete=stores.delete),
        resource("/v2/tasks", get=tasks.index, post=tasks.create),
        resource("/v2/tasks/{task_id}", get=tasks.show),
    ]


def schema_routes(front: Front, reader: ImageReader) -> list[BaseRoute]:
    """What a caller may send: the shapes of resources."""
    images, schemas = Images(front, reader), Schemas(front)
    return [
        resource("/v2/schemas/image", get=images.image_schema),
        resource("/v2/schemas/images", get=images.images_schema),
        resource("/v2/schemas/member", get=schemas.member),
        resource("/v2/schemas/members", get=schemas.members),
        resource("/v2/schemas/task", get=schemas.task),
        resource("/v2/schemas/tasks", get=schemas.tasks),
    ]


def image_routes(front: Front, reader: ImageReader) -> list[BaseRoute]:
    """One image, its bytes, its imports, and who may see it."""
    images, data, actions = Images(front, reader), Data(front), Actions(front, reader)
    imports, locations, members, resumable = Imports(front), Locations(front), Members(front), Resumable(front)
    image = "/v2/images/{image_id}"
    return [
        resource("/v2/images", get=images.index, post=images.create),
        resource(image, get=images.show, patch=images.patch, delete=images.delete),
        resource(f"{image}/stage", put=resumable.put, post=resumable.create, options=resumable.offer),
        resource(f"{image}/stage/{{upload_id}}", head=resumable.look, patch=resumable.append, delete=resumable.end),
        resource(f"{image}/file", get=data.download, put=data.save),
        resource(f"{image}/import", post=imports.start),
        resource(f"{image}/locations", get=locations.index, post=locations.add),
        resource(f"{image}/receipt", get=Receipts(front).show),
        resource(f"{image}/members", get=members.index, post=members.create),
        resource(f"{image}/members/{{member_id}}", get=members.show, put=members.update, delete=members.delete),
        resource(f"{image}/tags/{{tag}}", put=actions.tag, delete=actions.untag),
        resource(f"{image}/actions/deactivate", post=actions.deactivate),
        resource(f"{image}/actions/reactivate", post=actions.reactivate),
        resource(f"{image}/tasks", get=imports.tasks),
    ]
