"""`import-gateway serve`: read the settings and run the service."""

from __future__ import annotations

import signal
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.settings import Settings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings, a gateway.yaml.", show_default="none")
]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")]
PortOption = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port to listen on, 0 for a free one.", show_default="9292"),
]
DataOption = Annotated[
    Path | None, typer.Option("--data", file_okay=False, help="Folder for records and images.", show_default="./data")
]
RevisionOption = Annotated[
    str | None,
    typer.Option("--expect-revision", help="Start with this policy tree only (sha256:...), and never take another."),
]
DemoOption = Annotated[
    bool,
    typer.Option(
        "--demo",
        help="Run with the users stranger, silver, gold and admin (password: demo) and the public-cloud policies, "
        "on loopback only. Without --data nothing is kept.",
    ),
]


def serve(
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    data: DataOption = None,
    expect_revision: RevisionOption = None,
    demo: DemoOption = False,
) -> None:
    """Run the service.

    Without a file the defaults make a working single node: records in SQLite, images in ./data, everybody trusted,
    on loopback. examples/gateway.yaml shows every key.
    """
    from gateway.cli.speech import remark
    from gateway.settings import Settings, overridden, read_settings

    settings = read_settings(config) if config else Settings()
    settings = overridden(
        settings, host=host, port=port, data=data.absolute() if data else None, expect_revision=expect_revision
    )
    with _arranged(settings, keep=data is not None or not demo, demo=demo) as settings:
        if settings.identity.type == "none" and not settings.server.is_loopback:
            remark(f"Warning: with identity.type none, everybody who reaches {settings.server.host} may do everything.")
        _run(settings, demo)


def _run(settings: Settings, demo: bool) -> None:
    """A stop that was asked for is no failure; it unwinds, so that everything that was opened is closed."""
    from gateway.app import serve as run

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        run(settings, demo=demo)


def _arranged(settings: Settings, *, keep: bool, demo: bool) -> AbstractContextManager[Settings]:
    """The settings to run with; a demo has its own users, and a folder that is removed at the end."""
    if not demo:
        return nullcontext(settings)
    from gateway.cli.demo_settings import demonstration

    return demonstration(settings, keep=keep)
