"""gateway.yaml to Settings: every problem at once, each with its place in the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from gateway.model.errors import NotFound
from gateway.policy.problems import Problems
from gateway.policy.reader import Node, Source, plain, read_yaml
from gateway.policy.schemacheck import check_schema
from gateway.settings.building import build
from gateway.settings.checks import check
from gateway.settings.secrecy import hushed, secrets_in
from gateway.settings.tree import Settings
from gateway.shipped_files import shipped


def read_settings(file: Path) -> Settings:
    """The settings of a gateway.yaml. Relative paths are relative to the file.

    Raises Problems with everything that is wrong in it, NotFound where it cannot be read.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(
            f"The settings {file} cannot be read: {error.strerror}.", remedy="Name another file with --config."
        ) from None
    return settings_from(Source(str(file), content), file.absolute().parent)


def settings_from(source: Source, folder: Path) -> Settings:
    """The settings in `source`; relative paths are relative to `folder`. Raises Problems, which tell no secret."""
    try:
        return _settings(source, folder)
    except Problems as error:
        secrets = secrets_in(source.text.decode(errors="replace"))
        error.problems = tuple(hushed(problem, secrets) for problem in error.problems)
        raise


def _settings(source: Source, folder: Path) -> Settings:
    node = _read(source)
    content: Mapping[str, Any] = {}
    if node is not None:
        problems = [*check_schema(node, _schema()), *check(node)]
        if problems:
            raise Problems(problems)
        content = plain(node)
    return build(Settings, {"data": "data", **content}, folder)


def overridden(
    settings: Settings,
    *,
    host: str | None,
    port: int | None,
    data: Path | None,
    expect_revision: str | None = None,
) -> Settings:
    """`settings` with what the command line says; None says nothing."""
    policy = replace(settings.policy, expect_revision=expect_revision or settings.policy.expect_revision)
    server = settings.server
    server = replace(server, host=server.host if host is None else host, port=server.port if port is None else port)
    return replace(settings, policy=policy, server=server, data=settings.data if data is None else data)


def _read(source: Source) -> Node | None:
    """None for a file of comments alone: every key has a default."""
    try:
        return read_yaml(source)
    except Problems as error:
        if [problem.code for problem in error.problems] == ["yaml-empty"]:
            return None
        raise


@cache
def _schema() -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads((shipped("schemas") / "settings.schema.json").read_text())
    return schema
