"""`import-gateway stop`: emergency stops, for administrators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from gateway.cli.connection import CloudOption, Connection, JsonOption, PasswordOption, UrlOption, UserOption

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

_KINDS = ("method", "host", "project")

MethodOption = Annotated[str | None, typer.Option(help="Stop an import method, such as web-download.")]
HostOption = Annotated[str | None, typer.Option(help="Stop a source: a host, or *.example.com for all below it.")]
ProjectOption = Annotated[str | None, typer.Option(help="Stop everything a project imports, by its id.")]


@app.command("list")
def list_stops(
    everything: Annotated[bool, typer.Option("--all", help="Lifted stops too.")] = False,
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    json: JsonOption = False,
) -> None:
    """The stops in force, oldest first."""
    from gateway.cli.speech import print_json

    with Connection(cloud, url, user, password).open() as client:
        found = client.stops(lifted=everything)
    if json:
        print_json({"stops": found})
    else:
        _show(found)


@app.command()
def add(
    message: Annotated[str, typer.Option(help="What callers it refuses are told.")],
    reason: Annotated[str, typer.Option(help="Why, for other administrators.")],
    method: MethodOption = None,
    host: HostOption = None,
    project: ProjectOption = None,
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    json: JsonOption = False,
) -> None:
    """Stop a method, a host or a project now: new imports are refused, those under way end."""
    named = {kind: value for kind, value in zip(_KINDS, (method, host, project), strict=True) if value is not None}
    if len(named) != 1:
        raise typer.BadParameter("name one of --method, --host and --project")
    with Connection(cloud, url, user, password).open() as client:
        _tell(client.add_stop({**named, "message": message, "reason": reason}), json)


@app.command()
def lift(
    stop_id: Annotated[str, typer.Argument(metavar="ID", help="The stop's id, as `stop list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why it is no longer needed.")] = "",
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    json: JsonOption = False,
) -> None:
    """Lift a stop. Imports it has ended stay ended."""
    with Connection(cloud, url, user, password).open() as client:
        _tell(client.lift_stop(stop_id, reason), json)


def _tell(stop: Mapping[str, Any], json: bool) -> None:
    from gateway.cli.speech import print_json

    if json:
        print_json(stop)
    else:
        _show([stop])


def _show(stops: Iterable[Mapping[str, Any]]) -> None:
    from gateway.cli.speech import out

    for stop in stops:
        out().print("\n".join(_lines(stop)), markup=False, highlight=False)


def _lines(stop: Mapping[str, Any]) -> list[str]:
    kind = next((kind for kind in _KINDS if kind in stop), "")
    lines = [
        f"{stop['id']}  {kind} {stop.get(kind, '')}",
        f"  since   {stop['added_at']}, by {stop['added_by']}: {stop['reason']}",
        f"  callers {stop['message']}",
    ]
    if stop.get("lifted_at"):
        lines.append(f"  lifted  {stop['lifted_at']}, by {stop['lifted_by']}: {stop['lifted_reason']}")
    return lines
