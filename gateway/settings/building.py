"""From a mapping that has passed the schema to the frozen tree: the fields' own types say how a value is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from ipaddress import ip_network
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gateway.model.caller import Caller
from gateway.policy.quantity import parse_size
from gateway.settings.tree import Network
from gateway.settings.units import Bytes, Seconds

T = TypeVar("T")

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def seconds(text: str) -> float:
    """`500ms`, `30s`, `5m`, `24h` or `7d` in seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write it like 30s or 24h")
    return int(match[1]) * _SECONDS[match[2]]


def build(kind: type[T], content: Mapping[str, Any], folder: Path) -> T:
    """A dataclass of the tree; keys that are left out keep their default. Paths are relative to `folder`."""
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{name: _value(hints[name], raw, folder) for name, raw in content.items()})


def _value(hint: Any, raw: Any, folder: Path) -> Any:
    if raw is None:
        return None
    if isinstance(hint, UnionType) and hint != Network:
        hint = next(part for part in get_args(hint) if part is not NoneType)
    if hint in _READERS:
        return _READERS[hint](raw, folder)
    if is_dataclass(hint):
        return build(hint, raw, folder)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item, folder) for item in raw)
    if get_origin(hint) is Mapping:
        kind = get_args(hint)[1]
        read = _caller if kind is Caller else lambda entry, _: _value(kind, entry, folder)
        return {name: read(entry, name) for name, entry in raw.items()}
    return raw


def _caller(entry: Mapping[str, Any], name: str) -> Caller:
    """A user as the file describes it; roles default to those of an ordinary member."""
    project = entry["project"]
    values: dict[str, Any] = {"roles": tuple(entry["roles"])} if "roles" in entry else {}
    return Caller(
        project_id=project["id"],
        project_name=project.get("name", project["id"]),
        project_domain=project.get("domain", "default"),
        project_tags=tuple(project.get("tags", ())),
        user_id=name,
        user_name=name,
        **values,
    )


_READERS: Mapping[Any, Callable[[Any, Path], Any]] = {
    Seconds: lambda raw, _: seconds(raw),
    Bytes: lambda raw, _: parse_size(raw),
    Path: lambda raw, folder: folder / Path(raw).expanduser(),
    Network: lambda raw, _: ip_network(raw),
    Caller: lambda raw, _: _caller(raw, "everyone"),
}
