"""What a store is opened with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

from gateway.ports import Source

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a store is shown. `user` is a user's name or an access key; `secret` reads it, and raises OSError where it
    is in a file that cannot be read. `name` is what operators call it.
    """

    name: str
    kind: str
    user: str = ""
    secret: Callable[[], str] = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    rereads: bool = False
    """Whether the secret may be another one next time."""
    auth_url: str | None = None
    project: str | None = None
    user_domain: str = "Default"
    project_domain: str = "Default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`folder` is a filesystem store's own. `unseal` gives the URL a key stands for; `fetch` is the guarded fetch.

    The rest is of stores that are servers: `bucket` is a container's name as well, `prefix` stands before every key,
    `patience` is in seconds how long a server may be silent. Blobs travel in parts of `part_size` bytes, which are
    gathered in the folder `spool`.
    """

    name: str
    folder: Path
    unseal: Callable[[str], str]
    fetch: Callable[[str], Source]
    bucket: str = ""
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    virtual_host: bool = False
    ca_file: Path | None = None
    part_size: int = 8 * MIB
    spool: Path = field(default_factory=lambda: Path(gettempdir()))
    segment_size: int = 256 * MIB
    """Bytes of the objects that Swift keeps a long blob in."""
    interface: str = "public"
    """Which endpoint of Keystone's catalog is used."""
    patience: float = 60.0
    login: Login | None = None
