"""Keystone tokens (Identity API v3), by the rules every OpenStack service has for them.

A token is checked by Keystone and what it said holds for `ttl` seconds at most, never past the token's own end. Tokens
are known here by their SHA-256 alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.identity.keystone_access import opens
from gateway.identity.keystone_calls import Account, Keystone
from gateway.identity.keystone_token import Token, is_sendable
from gateway.identity.remembered import Remembered
from gateway.model.caller import Caller
from gateway.model.errors import NotAuthenticated

WRONG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Known:
    """What Keystone said: a value, or None where it knows no such thing."""

    token: Token | None = None
    tags: tuple[str, ...] | None = None


class KeystoneIdentity:
    """`gateway.ports.Identity` over one Keystone.

    `public_url` is what a 401 tells clients. A service token counts with one of `service_roles`; without, it is
    refused where `roles_required`, and otherwise opens nothing.
    """

    def __init__(
        self,
        account: Account,
        *,
        public_url: str | None = None,
        service_roles: Collection[str] = ("service",),
        roles_required: bool = True,
        ttl: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keystone = Keystone(account, now=now, monotonic=monotonic)
        self._public_url = public_url or account.url
        self._service_roles = frozenset(service_roles)
        self._roles_required = roles_required
        self._ttl = ttl
        self._now = now
        self._tokens: Remembered[tuple[bytes, bool], Known] = Remembered(monotonic)
        self._projects: Remembered[str, Known] = Remembered(monotonic)

    async def identify(self, headers: Mapping[str, str], *, method: str, path: str) -> Caller:
        chained = await self._is_chained(headers.get("x-service-token", "").strip())
        token = await self._valid(headers.get("x-auth-token", "").strip(), allow_expired=chained)
        # A service that acts for a user answers for the calls it makes: the user's rules name the user's own calls.
        if token.access_rules is not None and not chained and not opens(token.access_rules, method, path):
            raise _refused(
                f"The access rules of this application credential do not open {method} {path}.",
                "Use a credential whose rules name this call, with the service type 'image'.",
            )
        return await self._caller(token)

    def challenge(self) -> str:
        return f'Keystone uri="{self._public_url}"'

    async def aclose(self) -> None:
        await self._keystone.aclose()

    async def _is_chained(self, service_token: str) -> bool:
        """Whether another service makes this call for a user, who may have waited longer than the token lives."""
        if not service_token:
            return False
        token = await self._valid(service_token, allow_expired=False)
        chained = not self._service_roles.isdisjoint(token.roles)
        if self._roles_required and not chained:
            raise _refused("The X-Service-Token is not a service's.", "Send X-Auth-Token alone.")
        return chained

    async def _valid(self, token: str, *, allow_expired: bool) -> Token:
        """What a token says. Raises NotAuthenticated, without asking for what no token can look like; Unavailable."""
        if not token:
            raise _refused("This call needs a token.")
        if not is_sendable(token):
            raise _refused("This is not a token.")
        key = (hashlib.sha256(token.encode()).digest(), allow_expired)
        known = await self._tokens.get(key, lambda: self._ask(token, allow_expired))
        if known.token is None:
            raise _refused("The token is not valid, or not any more.")
        return known.token

    async def _ask(self, token: str, allow_expired: bool) -> tuple[Known, float]:
        found = await self._keystone.token(token, allow_expired=allow_expired)
        left = self._ttl if found is None or allow_expired else (found.expires_at - self._now()).total_seconds()
        if found is None or left <= 0:
            return Known(), min(WRONG_SECONDS, self._ttl)
        return Known(token=found), min(left, self._ttl)

    async def _caller(self, token: Token) -> Caller:
        """A token for a domain, the system or nothing has no project, and roles elsewhere are none here."""
        project = token.project
        if project is None:
            return Caller(project_id="", project_domain="", user_id=token.user_id, user_name=token.user_name, roles=())
        return Caller(
            project_id=project.id,
            project_name=project.name,
            project_domain=project.domain_id,
            project_tags=await self._tags(project.id),
            user_id=token.user_id,
            user_name=token.user_name,
            roles=token.roles,
        )

    async def _tags(self, project_id: str) -> tuple[str, ...]:
        known = await self._projects.get(project_id, lambda: self._ask_project(project_id))
        if known.tags is None:
            raise _refused("The token's project does not exist any more.")
        return known.tags

    async def _ask_project(self, project_id: str) -> tuple[Known, float]:
        tags = await self._keystone.tags(project_id)
        return Known(tags=tags), self._ttl if tags is not None else min(WRONG_SECONDS, self._ttl)


def _refused(
    message: str, remedy: str = "Get a new token from Keystone and send it as X-Auth-Token."
) -> NotAuthenticated:
    return NotAuthenticated(message, remedy=remedy)
