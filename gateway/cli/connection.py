"""The options every client command shares, and what they connect to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.cli.client import ImagesClient

DEFAULT_URL = "http://127.0.0.1:9292"

CloudOption = Annotated[
    str | None, typer.Option("--cloud", envvar="OS_CLOUD", help="Name of a cloud in clouds.yaml.", show_default=False)
]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="URL of the image service, instead of --cloud.", show_default=DEFAULT_URL)
]
UserOption = Annotated[str | None, typer.Option("--user", help="User name, together with --url.")]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        "--password", envvar="IMPORT_GATEWAY_PASSWORD", help="Password of --user; the environment keeps it off screens."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@dataclass(frozen=True, slots=True)
class Connection:
    """What the options said. `--url` and `--user` win over a cloud named by the environment."""

    cloud: str | None = None
    url: str | None = None
    user: str | None = None
    password: str | None = None

    def open(self) -> ImagesClient:
        """A client for the named service. Raises a Refusal where the cloud is unknown or its login fails."""
        from gateway.cli.client import ImagesClient
        from gateway.cli.clouds import find_cloud
        from gateway.cli.logins import direct, login_to

        if self.user is not None and self.password is None:
            raise typer.BadParameter("--user needs --password, or IMPORT_GATEWAY_PASSWORD in the environment")
        if self.cloud and not self.url and self.user is None:
            return ImagesClient(login_to(find_cloud(self.cloud)))
        return ImagesClient(direct(self.url or DEFAULT_URL, self.user, self.password or ""))
