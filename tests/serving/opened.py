"""A store of this run's kind, opened in this process as the service opens it."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.methods.rules import FetchRules
from gateway.policy.reader import Source
from gateway.ports import Store
from gateway.settings import settings_from
from gateway.storing import open_stores
from gateway.tools.seal import open_seal
from tests.serving.backing import backed


def opened(data: Path) -> Store:
    """The store `local` of a service with this data folder."""
    text = json.dumps(backed({"data": str(data)}, data))
    settings = settings_from(Source("gateway.yaml", text.encode()), data)
    return open_stores(settings, FetchRules(), open_seal(data / "secret.key"))["local"]
