"""`import-gateway serve`: understand the options, and become the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    from gateway.cli.process import Options, become

    become(Options(config=config, host=host, port=port, data=data, expect_revision=expect_revision, demo=demo))
