"""Plain records for wire tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.model.caller import Caller
from gateway.model.image import Image
from gateway.model.imports import Import

ID = "0f0fb1ba-8a2b-4a7e-9f1c-3f0c5d5e7a11"
NOW = datetime(2026, 11, 22, 8, 50, 42, 999999, tzinfo=UTC)
MEMBER = Caller(project_id="p1", user_id="u1")
ADMIN = Caller(project_id="p0", user_id="u0", roles=("admin",))


def image(**values: Any) -> Image:
    return Image(**{"id": ID, "owner": "p1", "created_at": NOW, "updated_at": NOW, **values})


def work(**values: Any) -> Import:
    fields = {
        "id": "8d0e4f9c-9a41-4c0e-8a47-0c1f3f3a1b22",
        "image_id": ID,
        "owner": "p1",
        "user_id": "u1",
        "method": "web-download",
        "request": {"uri": "https://host/path"},
        "stores": ("local",),
        "decision_id": "d1",
        "revision": "sha256:0",
        "created_at": NOW,
        "updated_at": NOW,
        "sealed": b"https://user:secret@host/path?token=secret",
    }
    return Import(**{**fields, **values})
