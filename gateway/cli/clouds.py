"""clouds.yaml, as OpenStack's own clients find and read it.

The places and their order are those of openstacksdk's configuration guide: OS_CLIENT_CONFIG_FILE alone, or the first
file of the working directory, the user's and the system's configuration. A secure.yaml beside them holds secrets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.model.errors import BadRequest, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One entry of clouds.yaml. `settings` is the whole entry, `auth` its `auth` part."""

    name: str
    auth_type: str
    auth: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verify(self) -> bool | str:
        """What to verify certificates with: the cloud's `cacert`, the system's, or nothing."""
        cacert = self.settings.get("cacert")
        return str(Path(cacert).expanduser()) if cacert else self.settings.get("verify", True) is not False

    @property
    def region(self) -> str | None:
        return self.settings.get("region_name") or os.environ.get("OS_REGION_NAME")


def find_cloud(name: str) -> Cloud:
    """The cloud of that name. Raises NotFound naming the places looked at, BadRequest for a broken file."""
    places = list(_places("clouds"))
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(str(place) for place in places)
        raise NotFound(f"There is no clouds.yaml (looked for {looked}).", remedy="Write one, or say --url URL.")
    clouds = _clouds(found)
    if name not in clouds:
        known = ", ".join(sorted(clouds)) or "none"
        raise NotFound(f"{found} has no cloud {name!r}.", remedy=f"Clouds there: {known}.")
    return _cloud(name, _merged(clouds[name], _secrets(name)), found)


def _places(stem: str) -> Iterator[Path]:
    named = os.environ.get("OS_CLIENT_CONFIG_FILE" if stem == "clouds" else "OS_CLIENT_SECURE_FILE")
    if named:
        yield Path(named)
        return
    own = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    for folder in (Path(), own / "openstack", Path("/etc/openstack")):
        yield from (folder / f"{stem}.yaml", folder / f"{stem}.yml")


def _clouds(file: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(file.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise BadRequest(f"{file} cannot be read: {error}", remedy="Correct the file, or say --url URL.") from None
    clouds = content.get("clouds") if isinstance(content, dict) else None
    return clouds if isinstance(clouds, dict) else {}


def _secrets(name: str) -> Mapping[str, Any]:
    found = next((place for place in _places("secure") if place.is_file()), None)
    entry = _clouds(found).get(name) if found else None
    return entry if isinstance(entry, dict) else {}


def _merged(entry: Any, secrets: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with the secrets laid over it; nested mappings are merged, not replaced."""
    merged = dict(entry) if isinstance(entry, dict) else {}
    for key, value in secrets.items():
        merged[key] = _merged(merged.get(key), value) if isinstance(value, dict) else value
    return merged


def _cloud(name: str, entry: Mapping[str, Any], file: Path) -> Cloud:
    auth = entry.get("auth", {})
    if not isinstance(auth, dict):
        raise BadRequest(f"{file}: `auth` of cloud {name!r} is not a mapping.", remedy="Correct the file.")
    return Cloud(name=name, auth_type=str(entry.get("auth_type", "password")), auth=auth, settings=entry)
