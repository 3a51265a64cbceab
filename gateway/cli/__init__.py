"""The command line: the service, its policies, and a client for people who import images.

`import-gateway --help` must answer at once, so every module that is slow to import is imported by the command that
needs it.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 refused or failed, 2 used wrongly, 130 interrupted."""
    from gateway.cli.commands import app
    from gateway.cli.speech import say_refusal
    from gateway.model.errors import Refusal

    try:
        app(prog_name="import-gateway")
    except Refusal as refusal:
        say_refusal(refusal)
        sys.exit(1)
