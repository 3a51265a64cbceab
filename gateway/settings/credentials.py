"""What the gateway itself shows to others: named here, referred to by name everywhere else, never told to a caller."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One set of credentials. `type` says which fields count.

    `s3`: `access_key`, `secret_key`, perhaps `session_token`. `basic`: `username`, `password`. `bearer`: `token`.
    `keystone`: `auth_url`, `username`, `password`, `project` and the domains' names. `tempauth`: `auth_url`,
    `username`, `password`. `google`: the key of a service account, as JSON, in `secret_file`. Instead of a secret, the
    file that holds it: `secret_file`, read anew at each use, so that a secret can be changed under a running service.
    `hosts` are the sources it may be sent to, as patterns; without any it is for stores alone. `plain_http` lets it be
    sent where others can listen.
    """

    type: Literal["s3", "basic", "bearer", "keystone", "tempauth", "google"]
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    secret_file: Path | None = None
    auth_url: str | None = None
    project: str | None = None
    user_domain: str = "Default"
    project_domain: str = "Default"
    hosts: tuple[str, ...] = ()
    plain_http: bool = False

    @property
    def user(self) -> str:
        """The name that goes with the secret; empty where there is none."""
        return self.access_key or self.username or ""

    @property
    def secret(self) -> str:
        """The one secret of this set; empty where there is none. Raises OSError for a file that cannot be read."""
        if self.secret_file is not None:
            try:
                return self.secret_file.read_text().strip()
            except UnicodeDecodeError as error:
                raise OSError(errno.EILSEQ, "it is no text") from error
        return self.secret_key or self.password or self.token or ""
