"""Every command, listed in one place."""

from __future__ import annotations

import typer

from gateway.cli.approvals import app as approvals
from gateway.cli.break_glass import app as break_glass
from gateway.cli.importing import import_image
from gateway.cli.methods import methods
from gateway.cli.policy import app as policy
from gateway.cli.receipts import receipt_key, verify_receipt
from gateway.cli.serving import serve
from gateway.cli.stopping import app as stop
from gateway.cli.verifying import verify

app = typer.Typer(
    help="Policy-driven image import for clouds, speaking the OpenStack Images API v2.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(methods)
app.command("import")(import_image)
app.command()(receipt_key)
app.command()(verify_receipt)
app.command()(verify)
app.add_typer(policy, name="policy", help="Check, test and explain policy trees.")
app.add_typer(approvals, name="approvals", help="Imports that wait for a person: list, approve, refuse.")
app.add_typer(break_glass, name="break-glass", help="Open in an emergency what a policy keeps closed, for a time.")
app.add_typer(stop, name="stop", help="Stop a method, a host or a project at once, and lift such stops.")
