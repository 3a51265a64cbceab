"""`import-gateway approvals`: imports that wait for a person, for those who may decide about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from gateway.cli.connection import CloudOption, Connection, JsonOption, PasswordOption, UrlOption, UserOption

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

ImportArgument = Annotated[str, typer.Argument(metavar="IMPORT", help="The import's id, as `list` shows it.")]


@app.command("list")
def list_waiting(
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    json: JsonOption = False,
) -> None:
    """What waits for me: whose image, from where, what its stages found, and until when?"""
    from gateway.cli.speech import out, print_json

    with Connection(cloud, url, user, password).open() as client:
        found = client.approvals()
    if json:
        print_json({"approvals": found})
    else:
        lines = [line for one in found for line in _lines(one)] or ["Nothing waits for you."]
        out().print("\n".join(lines), markup=False, highlight=False)


@app.command()
def approve(
    import_id: ImportArgument,
    reason: Annotated[str, typer.Option(help="For the record.")] = "",
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
) -> None:
    """Let it go on."""
    with Connection(cloud, url, user, password).open() as client:
        client.decide(import_id, "approve", reason)
    print("Approved; the import goes on.")


@app.command()
def refuse(
    import_id: ImportArgument,
    reason: Annotated[str, typer.Option(help="What the owner is told.")],
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
) -> None:
    """End it, with a reason."""
    with Connection(cloud, url, user, password).open() as client:
        client.decide(import_id, "refuse", reason)
    print("Refused; the import has failed with your reason.")


def _lines(one: Mapping[str, Any]) -> Iterator[str]:
    yield f"{one['import_id']}  image {one['image_name'] or one['image_id']}"
    yield f"  project {one['project_id']}, asked for by {one['user_id']}"
    yield f"  source  {' '.join(str(word) for word in one['source'].values())}, {one['bytes']} bytes"
    yield f"  waits   since {one['since']}, until {one['expires']}"
    for stage in one["stages"]:
        found = "; ".join(finding["message"] for finding in stage["findings"])
        yield f"  stage   {stage['name']}: {stage['verdict']}{f' ({found})' if found else ''}"
