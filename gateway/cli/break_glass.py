"""`import-gateway break-glass`: what may be opened in an emergency, opening it, closing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from gateway.cli.connection import CloudOption, Connection, JsonOption, PasswordOption, UrlOption, UserOption

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("list")
def list_rules(
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    json: JsonOption = False,
) -> None:
    """What may I open, and what is open: by whom, why, and until when?"""
    from gateway.cli.speech import print_json

    with Connection(cloud, url, user, password).open() as client:
        found = client.break_glass()
    if json:
        print_json(found)
    else:
        print("\n".join(_listed(found)))


@app.command("open")
def open_rule(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule, as policy/id.")],
    reason: Annotated[str, typer.Option(help="Why it has to be now: 10 to 500 characters, kept and shown.")],
    duration: Annotated[str, typer.Option(help="How long, such as 30m or 2h.")] = "1h",
    project: Annotated[str | None, typer.Option(help="Another project's id; for administrators.")] = None,
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    json: JsonOption = False,
) -> None:
    """Open a break-glass rule for the project. It ends by itself."""
    from gateway.cli.speech import print_json

    wanted = {"rule": rule, "reason": reason, "duration": duration} | ({"project_id": project} if project else {})
    with Connection(cloud, url, user, password).open() as client:
        opening = client.open_break_glass(wanted)
    if json:
        print_json(opening)
    else:
        print(f"{opening['rule']} is open for project {opening['project_id']} until {opening['until']}.")
        print(f"Close it with: import-gateway break-glass close {opening['id']}")


@app.command("close")
def close_rule(
    opening: Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows.")],
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
) -> None:
    """Close it before its time. Imports that were accepted meanwhile go on."""
    with Connection(cloud, url, user, password).open() as client:
        client.close_break_glass(opening)
    print("Closed.")


def _listed(found: Mapping[str, Any]) -> Iterator[str]:
    for rule in found.get("may_open", ()):
        yield f"may open  {rule['rule']}: {', '.join(rule['methods'])}, for at most {_said(rule['max_seconds'])}"
    for one in found.get("open", ()):
        yield f"open      {one['rule']} for project {one['project_id']} until {one['until']} by {one['opened_by']}"
        yield f"          {one['reason']}"
        yield f"          id {one['id']}"
    if not any(found.values()):
        yield "Nothing is open, and there is nothing you may open."


def _said(seconds: int) -> str:
    """`4h`, `90m`, `45s`: the largest unit that is exact."""
    units = ((86400, "d"), (3600, "h"), (60, "m"))
    return next((f"{seconds // size}{unit}" for size, unit in units if seconds % size == 0), f"{seconds}s")
