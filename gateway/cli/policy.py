"""`import-gateway policy`: check, test and explain policy trees, with the code the service decides with.

Exit codes: 0 clean, 1 findings, 2 used wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.policy_asking import (
    DomainOption,
    EngineOption,
    Folder,
    JsonOption,
    NowOption,
    ProjectOption,
    RoleOption,
    TagOption,
    caller_facts,
    compiled,
    located,
    moment,
    properties,
    schema,
    size,
    told,
    url_facts,
)

if TYPE_CHECKING:
    from gateway.policy.facts import FactValue

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

_HERE = Path()
_ENGINE = "cel-expr"


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


@app.command()
def check(
    folder: Folder = _HERE,
    format: Annotated[Format, typer.Option(help="How to print problems.")] = Format.TEXT,  # noqa: A002
    engine: EngineOption = _ENGINE,
) -> None:
    """Is the tree right? Every problem of every file, with its place.

    Spelling, types of expressions, and what files say about each other.
    """
    from gateway.cli.policy_printing import print_check
    from gateway.policy.problems import Problems
    from gateway.trees import read_tree

    with told(folder):
        files = len(read_tree(folder))
        try:
            policy = compiled(folder, engine)
        except Problems as problems:
            print_check(format, files, None, located(problems, folder))
            raise typer.Exit(1) from None
    print_check(format, files, policy, [])


@app.command("test")
def run_tests(
    folder: Folder = _HERE,
    min_coverage: Annotated[int, typer.Option(min=0, max=100, help="Percent of rules that must apply.")] = 0,
    engine: EngineOption = _ENGINE,
) -> None:
    """Run the tree's `*.test.yaml`, and list the rules that applied in none of their cases."""
    from gateway.cli.policy_printing import print_tests
    from gateway.policy.testfile import read_tests
    from gateway.policy.testing import run
    from gateway.trees import read_tests as test_files

    with told(folder):
        policy = compiled(folder, engine)
        cases = read_tests(test_files(folder), schema=schema("policy-test"), policy=policy, now=moment(None))
    outcome = run(policy, cases)
    print_tests(outcome, folder, min_coverage)
    if outcome.failures or not outcome.cases or outcome.coverage < min_coverage:
        raise typer.Exit(1)


@app.command()
def explain(
    folder: Folder = _HERE,
    method: Annotated[str | None, typer.Option(help="The import method.", show_default="by --url")] = None,
    project: ProjectOption = "project",
    domain: DomainOption = "default",
    project_tag: TagOption = None,
    role: RoleOption = None,
    url: Annotated[str | None, typer.Option(help="Where the image would come from.")] = None,
    disk_format: Annotated[str | None, typer.Option(help="What the record says.")] = None,
    container_format: Annotated[str | None, typer.Option(help="What the record says.")] = None,
    visibility: Annotated[str | None, typer.Option(help="What the record says.")] = None,
    image_property: Annotated[list[str] | None, typer.Option("--property", help="name=value; repeat for more.")] = None,
    announced: Annotated[str | None, typer.Option("--size", help="The announced size, such as 20GiB.")] = None,
    content_size: Annotated[str | None, typer.Option(help="The size of the bytes themselves.")] = None,
    virtual_size: Annotated[str | None, typer.Option(help="What the bytes unpack to.")] = None,
    final: Annotated[bool, typer.Option("--final", help="Decide as after the last byte: doubt refuses.")] = False,
    now: NowOption = None,
    json: JsonOption = False,
    engine: EngineOption = _ENGINE,
) -> None:
    """Why is an import allowed or refused? Every rule it touches, clause by clause.

    `+` holds, `-` fails, `?` is not known yet, `!` cannot be evaluated. What no option says is not known.
    """
    from gateway.cli.speech import print_json
    from gateway.policy import explain as explaining
    from gateway.policy.facts import Facts

    said: Mapping[str, FactValue | None] = {
        "request.disk_format": disk_format,
        "request.container_format": container_format,
        "request.visibility": visibility,
        "request.properties": properties(image_property) if image_property else None,
        "request.size": size(announced, "--size"),
        "content.size": size(content_size, "--content-size"),
        "content.virtual_size": size(virtual_size, "--virtual-size"),
    }
    known = {**url_facts(url), **{name: value for name, value in said.items() if value is not None}}
    facts = Facts({**caller_facts(project, domain, project_tag, role), **known}, moment(now))
    with told(folder):
        policy = compiled(folder, engine)
    chosen = method or ("web-download" if url else "glance-direct")
    explanation = explaining.explain(policy, chosen, facts, final=final)
    if json:
        print_json(explaining.as_json(explanation))
    else:
        print(explaining.text(explanation), end="")


@app.command()
def offers(
    folder: Folder = _HERE,
    who: Annotated[list[str] | None, typer.Option(help="A caller of the tree's test files; `all` for each.")] = None,
    project: ProjectOption = "project",
    domain: DomainOption = "default",
    project_tag: TagOption = None,
    role: RoleOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    engine: EngineOption = _ENGINE,
) -> None:
    """What is a caller offered? The discovery document, for one caller or for those of the test files."""
    from gateway.cli.policy_printing import print_offers
    from gateway.cli.speech import print_json
    from gateway.policy.facts import Facts
    from gateway.policy.offers import document
    from gateway.policy.offers import offers as offered

    with told(folder):
        policy = compiled(folder, engine)
        asking = _named(folder, who) if who else {project: caller_facts(project, domain, project_tag, role)}
    found = {name: offered(policy, Facts(facts, moment(now))) for name, facts in asking.items()}
    if json:
        documents = {name: document(one) for name, one in found.items()}
        print_json(documents if who else documents[project])
    else:
        print_offers(found)


def _named(folder: Path, names: list[str]) -> dict[str, Any]:
    """Callers of the test files by name. Raises typer.BadParameter for one that nobody knows."""
    from gateway.policy.testfile import read_callers
    from gateway.trees import read_tests

    known = read_callers(read_tests(folder), schema=schema("policy-test"))
    wanted = list(known) if "all" in names else names
    for name in wanted:
        if name not in known:
            raise typer.BadParameter(f"no test file has '{name}'; there are {', '.join(known)}", param_hint="--who")
    return {name: known[name] for name in wanted}
