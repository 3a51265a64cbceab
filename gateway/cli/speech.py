"""How the command line talks: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.model.errors import Refusal

_PIPE_WIDTH = 400


@cache
def out() -> Console:
    """Where results go. In a pipe lines are long, so that programs find a sentence in one piece."""
    from rich.console import Console

    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


@cache
def err() -> Console:
    """Where progress, remarks and refusals go."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


def remark(text: str, style: str = "dim") -> None:
    """One line on standard error. The text is shown as it is: brackets in it are no markup."""
    err().print(text, style=style, markup=False, highlight=False)


def say_refusal(refusal: Refusal) -> None:
    """What happened and what to do now; never a traceback."""
    detail = str(refusal)
    if detail != refusal.message:  # the marked places of a file
        remark(detail, style="")
    remark(f"Error: {refusal.message}", style="bold red")
    if refusal.remedy:
        remark(refusal.remedy, style="")


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, sort_keys=False)
    sys.stdout.write("\n")
