"""Every route of the service, in one list."""

from __future__ import annotations

from starlette.routing import BaseRoute

from gateway.api.data import Data
from gateway.api.discovery import Discovery
from gateway.api.front import Front
from gateway.api.image_schema import ImageRules
from gateway.api.image_values import ImageReader
from gateway.api.images import Images
from gateway.api.imports import Imports
from gateway.api.verbs import resource


def routes(front: Front, rules: ImageRules) -> list[BaseRoute]:
    images, data = Images(front, ImageReader(rules)), Data(front)
    imports, discovery = Imports(front), Discovery(front)
    image = "/v2/images/{image_id}"
    return [
        resource("/", get=discovery.choices),
        resource("/versions", get=discovery.versions),
        resource("/healthcheck", get=discovery.health),
        resource("/v2/info/import", get=discovery.methods),
        resource("/v2/info/stores", get=discovery.stores),
        resource("/v2/schemas/image", get=images.image_schema),
        resource("/v2/schemas/images", get=images.images_schema),
        resource("/v2/images", get=images.index, post=images.create),
        resource(image, get=images.show, patch=images.patch, delete=images.delete),
        resource(f"{image}/stage", put=data.stage),
        resource(f"{image}/file", get=data.download, put=data.save),
        resource(f"{image}/import", post=imports.start),
        resource(f"{image}/tasks", get=imports.tasks),
        resource("/v2/tasks", get=imports.all_tasks),
        resource("/v2/tasks/{task_id}", get=imports.task),
    ]
