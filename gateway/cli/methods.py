"""`import-gateway methods`: what may I import, and why not the rest; and what would become of one import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.connection import CloudOption, Connection, JsonOption, PasswordOption, UrlOption, UserOption
from gateway.cli.importing import pair

if TYPE_CHECKING:
    from rich.table import Table

    from gateway.cli.offer import Offers
    from gateway.model.decision import Within

WhatIfOption = Annotated[
    str | None,
    typer.Option("--what-if", metavar="FILE|URL", help="Ask about one import; the options below say more of it."),
]
MethodOption = Annotated[str | None, typer.Option("--method", help="Import method of the what-if.")]
DiskOption = Annotated[str | None, typer.Option("--disk-format", help="Such as qcow2, raw, iso.")]
ContainerOption = Annotated[str | None, typer.Option("--container-format", help="Such as bare, ova.")]
VisibilityOption = Annotated[
    str | None, typer.Option("--visibility", help="private, shared, community or public.", show_default="not known")
]
PropertyOption = Annotated[
    list[str] | None, typer.Option("--property", metavar="KEY=VALUE", help="A property of the image; repeatable.")
]
StoreOption = Annotated[list[str] | None, typer.Option("--store", help="A store to import into; repeatable.")]
SizeOption = Annotated[int | None, typer.Option("--size", help="Bytes of an image that is not here.", min=0)]

_SOURCE_KEYS = ("hosts", "schemes", "ports", "regions", "credentials")


def methods(
    what_if: WhatIfOption = None,
    method: MethodOption = None,
    disk_format: DiskOption = None,
    container_format: ContainerOption = None,
    visibility: VisibilityOption = None,
    property: PropertyOption = None,  # noqa: A002 - the option's name
    store: StoreOption = None,
    size: SizeOption = None,
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    json: JsonOption = False,
) -> None:
    """What may I import, and why not the rest?

    Asks the service (GET /v2/info/import) and shows each method with its limits, sources and checks, and each
    withheld method with the reason. With --what-if it shows what would become of one import, and if that is refused
    the smallest change that would pass; nothing is sent or started.

    Exit code: 0 shown, 1 the import would be refused, 2 used wrongly.
    """
    connection = Connection(cloud, url, user, password)
    if what_if is None:
        _ask_all(connection, json)
        return
    said = {
        "disk_format": disk_format,
        "container_format": container_format,
        "visibility": visibility,
        "properties": dict(pair(text) for text in property) if property else None,
        "stores": store,
        "size": size,
    }
    if not _ask_one(connection, what_if, method, said, json):
        raise typer.Exit(1)


def _ask_all(connection: Connection, json: bool) -> None:
    from gateway.cli.offer import Offers
    from gateway.cli.speech import print_json

    with connection.open() as client:
        discovery = client.discovery()
    if json:
        print_json(discovery)
    else:
        _show(Offers.of(discovery))


def _ask_one(connection: Connection, source: str, method: str | None, said: Mapping[str, Any], json: bool) -> bool:
    """Whether nothing refuses it."""
    from rich.text import Text

    from gateway.cli.asking import headline, lines, question
    from gateway.cli.sources import source_of
    from gateway.cli.speech import out, print_json

    asked = question(source_of(source), method, said)
    with connection.open() as client:
        answer = client.what_if(asked)
    if json:
        print_json(answer)
    else:
        text, style = headline(answer)
        out().print(Text(text, style=style))
        out().print(_grid(lines(answer)))
    return answer.get("decision") != "deny"


def _show(offers: Offers) -> None:
    from rich.text import Text

    from gateway.cli.speech import out

    for name in offers.methods:
        out().print(Text(name, style="bold green"))
        out().print(_grid(_terms(offers, name)))
    if not offers.methods:
        out().print(Text("This project may not import by any method.", style="bold"))
    if offers.withheld:
        out().print(Text("Not offered", style="bold yellow"))
        out().print(_grid((name, _why(about)) for name, about in sorted(offers.withheld.items())))


def _grid(rows: Iterator[tuple[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for title, text in rows:
        grid.add_row(f"  {title}", Text(text))
    return grid


def _terms(offers: Offers, method: str) -> Iterator[tuple[str, str]]:
    terms, ways = offers.terms(method), offers.within(method)
    for number, within in enumerate(ways):
        yield "limits" if number == 0 else "or", _limits(within, method)
        if sources := _sources(within, method):
            yield "sources", sources
    yield "stages", ", ".join(terms.get("stages", ())) or "none"
    for one in terms.get("sometimes", ()):
        yield "sometimes", f"{_stage(one['stage'])}: {one['message']}"
    for message in terms.get("refused_when", ()):
        yield "refused", message
    for message in terms.get("warnings", ()):
        yield "warning", message


def _limits(within: Within, method: str) -> str:
    from gateway.policy.wording import said_within

    return said_within(replace(within, **dict.fromkeys(_SOURCE_KEYS)), method) or "none"


def _sources(within: Within, method: str) -> str:
    """Empty for a method that has no source of its own."""
    from gateway.model.decision import Within
    from gateway.policy.facts import SOURCE_FACTS
    from gateway.policy.wording import said_within

    if not SOURCE_FACTS.get(method, True):
        return ""
    return said_within(Within(**{key: getattr(within, key) for key in _SOURCE_KEYS}), method) or "any"


def _stage(value: str | Mapping[str, Any]) -> str:
    """A stage is its name, or its name with options."""
    return value if isinstance(value, str) else next(iter(value), "")


def _why(about: Mapping[str, str]) -> str:
    return f"{about.get('message', '')} ({about.get('reason', 'not-granted')})".strip()
