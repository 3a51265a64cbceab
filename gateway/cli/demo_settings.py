"""The settings of `serve --demo`: four users everybody knows the password of, and therefore loopback only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gateway.model.caller import Caller
from gateway.model.errors import Forbidden
from gateway.settings import IdentitySettings, Settings
from gateway.shipped_files import shipped

PASSWORD = "demo"

_TAGS: Mapping[str, tuple[str, ...]] = {
    "stranger": (),
    "silver": ("tier:silver",),
    "gold": ("tier:gold",),
    "admin": ("tier:gold",),
}


@contextmanager
def demonstration(settings: Settings, *, keep: bool) -> Iterator[Settings]:
    """`settings` with the demo's users and the public-cloud policies. Raises Forbidden off loopback.

    With `keep` the data folder is that of `settings`, else a new one that is removed at the end.
    """
    if not settings.server.is_loopback:
        raise Forbidden(
            f"--demo has users with a known password, so it does not listen on {settings.server.host}.",
            remedy="Leave --host out, or run without --demo and with a settings file of your own.",
        )
    if keep:
        yield demo_settings(settings)
        return
    with tempfile.TemporaryDirectory(prefix="import-gateway-demo-", ignore_cleanup_errors=True) as folder:
        yield demo_settings(replace(settings, data=Path(folder)))


def demo_settings(settings: Settings) -> Settings:
    """Writes the users' htpasswd file into the data folder."""
    settings.data.mkdir(parents=True, exist_ok=True)
    htpasswd = settings.data / "demo.htpasswd"
    htpasswd.write_text("".join(f"{name}:{_hashed(PASSWORD)}\n" for name in _TAGS))
    policy = replace(settings.policy, directory=settings.policy.directory or shipped("policies") / "public-cloud")
    users = {name: _caller(name, tags) for name, tags in _TAGS.items()}
    return replace(
        settings, policy=policy, identity=IdentitySettings(type="basic", htpasswd=htpasswd.absolute(), users=users)
    )


def _caller(name: str, tags: tuple[str, ...]) -> Caller:
    roles = ("admin", "image-publisher", "member", "reader") if name == "admin" else ("member", "reader")
    return Caller(
        project_id=f"demo-{name}",
        project_name=name,
        project_tags=tags,
        user_id=name,
        user_name=name,
        roles=roles,
    )


def _hashed(password: str) -> str:
    import bcrypt

    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
