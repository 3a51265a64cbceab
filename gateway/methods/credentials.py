"""What the gateway itself may show to a source: asked for by name, granted by policy, and sent only where it belongs.

A credential is bound to hosts. It goes to no other, is dropped at every redirect, and is read anew at each use.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.methods.location import Location
from gateway.model.errors import BadRequest, SourceRefused
from gateway.policy.within import host_matches

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """`user` is a user name or an access key. `hosts` are patterns as policies write them; none means: for no source.

    `secret` reads it, and raises OSError where it is in a file that cannot be read. With `plain_http` it may be sent
    over connections that others can listen to.
    """

    kind: str
    hosts: tuple[str, ...] = ()
    plain_http: bool = False
    user: str = ""
    session_token: str | None = field(default=None, repr=False)
    secret: Callable[[], str] = field(repr=False)


def asked(method: Mapping[str, object]) -> str:
    """The name in an import request's `method` object; empty where none is asked for. Raises BadRequest.

    Whether there is such a credential is not told: that is for those who are granted it.
    """
    name = method.get("credential", "")
    if name == "" and "credential" not in method:
        return ""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadRequest(
            "The import method's 'credential' is no name of a credential.",
            remedy="GET /v2/info/import lists those you may use; leave it out to show none.",
            code="bad-credential",
        )
    return name


def shown(name: str) -> dict[str, str]:
    """What is kept of the request: the name, where there is one."""
    return {"credential": name} if name else {}


def bound(known: Mapping[str, Credential], name: str, location: Location, *kinds: str) -> Credential:
    """The credential, if it may be shown at `location` and is one of `kinds`.

    Raises SourceRefused: `credential-unknown`, `credential-unfit`, `credential-misplaced`, `credential-plain`.
    """
    found = known.get(name)
    if found is None:
        raise _refused(name, "is not set up at this site", "Ask the operators of your cloud.", "credential-unknown")
    if found.kind not in kinds:
        raise _refused(name, f"is of type {found.kind}", f"It has to be {' or '.join(kinds)}.", "credential-unfit")
    if not host_matches(location.host, found.hosts):
        why = f"is not for {location.origin}"
        raise _refused(name, why, "Take the image from where it belongs, or leave it out.", "credential-misplaced")
    if location.scheme != "https" and found.kind != "s3" and not found.plain_http:
        raise _refused(name, "is not sent over http", "Use an https address.", "credential-plain")
    return found


def secret_of(name: str, credential: Credential) -> str:
    """Raises SourceRefused (`credential-unreadable`), which may pass."""
    try:
        return credential.secret()
    except OSError:
        raise SourceRefused(
            f"The credential '{name}' cannot be read by the gateway.",
            remedy="Ask the operators of your cloud.",
            code="credential-unreadable",
            transient=True,
        ) from None


def authorization(name: str, credential: Credential) -> dict[str, str]:
    """The header of a `basic` (RFC 7617) or `bearer` (RFC 6750) credential."""
    secret = secret_of(name, credential)
    if credential.kind == "bearer":
        return {"Authorization": f"Bearer {secret}"}
    return {"Authorization": "Basic " + b64encode(f"{credential.user}:{secret}".encode()).decode()}


def _refused(name: str, why: str, remedy: str, code: str) -> SourceRefused:
    return SourceRefused(f"The credential '{name}' {why}.", remedy=remedy, code=code)
