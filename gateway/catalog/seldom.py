"""Filters that few images meet. A list then looks at those few, instead of walking past everything it may show.

SQLite keeps no statistics unless asked, so it cannot know; the indexes of labels and names can be asked in a moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, select

from gateway.catalog.filters import SORTABLE, checked_text
from gateway.catalog.tables import image_properties, image_tags, images
from gateway.ports import Filter, ImageQuery

FEW = 1000


def probes(query: ImageQuery) -> Iterator[Select[Any]]:
    """For each filter that one index answers: the ids that meet it, up to one more than FEW. Raises BadRequest."""
    for tag in query.tags:
        yield _first(image_tags.c.image_id).where(image_tags.c.tag == checked_text("tag", tag))
    for item in query.filters:
        if item.operator == "eq":
            yield from _probe(item)


def _probe(item: Filter) -> Iterator[Select[Any]]:
    value = checked_text(item.field, str(item.values[0]))
    if item.field == "name":
        yield _first(images.c.id).where(images.c.name == value, images.c.deleted_at.is_(None))
    elif item.field not in SORTABLE:
        name = checked_text("field", item.field)
        yield _first(image_properties.c.image_id).where(
            image_properties.c.name == name, image_properties.c.value == value
        )


def _first(column: Any) -> Select[Any]:
    return select(column).limit(FEW + 1)
