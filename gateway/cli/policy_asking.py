"""From command line options to the facts of one caller and one import, and from a folder to its policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.policy_completion import engine_names

if TYPE_CHECKING:
    from gateway.policy.facts import FactValue
    from gateway.policy.rules import Policy

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the policy tree.", show_default=".")]
EngineOption = Annotated[
    str,
    typer.Option(help="What evaluates expressions: cel-expr or cel-python.", autocompletion=engine_names),
]
NowOption = Annotated[str | None, typer.Option("--now", help="Decide at this time (RFC 3339) instead of now.")]
ProjectOption = Annotated[str, typer.Option("--project", help="The project's id.")]
DomainOption = Annotated[str, typer.Option("--domain", help="The project's domain.")]
TagOption = Annotated[list[str] | None, typer.Option("--project-tag", help="A tag of the project; repeat for more.")]
RoleOption = Annotated[list[str] | None, typer.Option("--role", help="A role of the user; repeat for more.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Ends the command with exit code 1 for problems in files, and 2 where the command itself was used wrongly."""
    from gateway.cli.speech import say_refusal
    from gateway.model.errors import Refusal
    from gateway.policy.problems import Problems

    try:
        yield
    except Problems as problems:
        say_refusal(Problems(located(problems, folder)))
        raise typer.Exit(1) from None
    except Refusal as refusal:
        say_refusal(refusal)
        raise typer.Exit(2) from None


def located(problems: Any, folder: Path) -> list[Any]:
    """The problems with their files as seen from the current folder, so that editors and CI find them."""
    return [
        replace(one, place=replace(one.place, file=(folder / one.place.file).as_posix())) for one in problems.problems
    ]


def compiled(folder: Path, engine_name: str) -> Policy:
    """The tree as the service compiles it, with the methods this build registers. Raises Problems and Refusal."""
    from gateway.policy.expression import engine
    from gateway.trees import load, read_tree

    sources = read_tree(folder)
    return load(sources, schema=schema("policy"), engine=engine(engine_name), methods=registered()).policy


def schema(name: str) -> Mapping[str, Any]:
    """A shipped JSON Schema by its short name."""
    from gateway.shipped_files import shipped

    found: dict[str, Any] = json.loads((shipped("schemas") / f"{name}.schema.json").read_text())
    return found


def registered() -> tuple[str, ...]:
    """The import methods of this build."""
    from gateway.methods import METHODS

    return tuple(METHODS)


def moment(text: str | None) -> datetime:
    """The time to decide at. Raises typer.BadParameter."""
    from gateway.policy.quantity import parse_time

    return datetime.now(UTC) if text is None else _parsed(text, parse_time, "--now")


def _parsed(text: str, parse: Any, option: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def caller_facts(
    project: str, domain: str, tags: Sequence[str] | None, roles: Sequence[str] | None
) -> dict[str, FactValue]:
    """The facts of the first phase."""
    from gateway.policy.testfile import caller

    said: dict[str, Any] = {"domain": domain, "tags": tags or ()}
    return caller(project, said | ({"roles": roles} if roles else {}))


def url_facts(url: str | None) -> dict[str, FactValue]:
    """The facts of a source's address. Raises typer.BadParameter."""
    from urllib.parse import urlsplit

    from gateway.policy.hosts import host_name

    if url is None:
        return {}
    try:
        parts = urlsplit(url)
        host, port = host_name(parts.hostname or ""), parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError) as error:
        raise typer.BadParameter(f"'{url}' is not an http or https address", param_hint="--url") from error
    return {
        "request.host": host,
        "request.scheme": parts.scheme,
        "request.port": port,
        "request.path": parts.path or "/",
    }


def size(text: str | None, option: str) -> int | None:
    """Bytes of a size such as 20GiB. Raises typer.BadParameter."""
    from gateway.policy.quantity import parse_size

    return None if text is None else int(_parsed(text, parse_size, option))


def properties(pairs: Sequence[str] | None) -> dict[str, str]:
    """`name=value` pairs. Raises typer.BadParameter."""
    for pair in pairs or ():
        if "=" not in pair:
            raise typer.BadParameter(f"'{pair}' is not name=value", param_hint="--property")
    return dict(pair.split("=", 1) for pair in pairs or ())
