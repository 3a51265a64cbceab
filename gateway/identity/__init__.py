"""Who asks. An identity is one file here and one line in IDENTITIES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.identity.basic import BasicIdentity
from gateway.identity.keystone import KeystoneIdentity
from gateway.identity.keystone_calls import Account
from gateway.identity.none import Everyone
from gateway.model.errors import BadRequest
from gateway.ports import Identity

__all__ = ["IDENTITIES", "Account", "BasicIdentity", "Everyone", "KeystoneIdentity", "account"]


def _basic(settings: Any) -> Identity:
    if settings.htpasswd is None:
        raise BadRequest("identity.type 'basic' needs a user file", remedy="Set identity.htpasswd to its path.")
    return BasicIdentity(settings.htpasswd, settings.users)


def account(settings: Any) -> Account:
    """The gateway's own user in Keystone, by the `identity` settings. Raises BadRequest where there is none."""
    said = settings.keystone
    if None in (said.auth_url, said.username, said.password):
        raise BadRequest(
            "identity.type 'keystone' needs a user of its own",
            remedy="Set auth_url, username and password under identity.keystone.",
        )
    return Account(
        url=said.auth_url.rstrip("/").removesuffix("/v3") + "/v3",
        username=said.username,
        password=said.password,
        user_domain=said.user_domain,
        project=said.project,
        project_domain=said.project_domain,
        timeout=said.timeout,
        ca_file=said.ca_file,
    )


def _keystone(settings: Any) -> Identity:
    said = settings.keystone
    return KeystoneIdentity(
        account(settings),
        public_url=said.public_url,
        service_roles=said.service_token_roles,
        roles_required=said.service_token_roles_required,
        ttl=said.cache_ttl,
    )


IDENTITIES: Mapping[str, Callable[[Any], Identity]] = {
    "none": lambda settings: Everyone(settings.everyone),
    "basic": _basic,
    "keystone": _keystone,
}
"""`identity.type` -> how it is made of the `identity` settings."""
