"""`import-gateway policy`: check, test and explain policy trees, with the code the service decides with.

Exit codes: 0 clean, 1 findings, 2 used wrongly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    moment,
    schema,
    told,
)
from gateway.cli.policy_bench import bench
from gateway.cli.policy_check import check, print_schema
from gateway.cli.policy_completion import caller_names
from gateway.cli.policy_diff import diff
from gateway.cli.policy_explain import explain
from gateway.cli.policy_rejudge import rejudge
from gateway.cli.policy_replay import replay
from gateway.cli.policy_testing import run_tests

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

_HERE = Path()
_ENGINE = "cel-expr"


@app.command()
def offers(
    folder: Folder = _HERE,
    who: Annotated[
        list[str] | None,
        typer.Option(help="A caller of the tree's test files; `all` for each.", autocompletion=caller_names),
    ] = None,
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


app.command()(check)
app.command("schema")(print_schema)
app.command("test")(run_tests)
app.command()(explain)
app.command()(diff)
app.command()(replay)
app.command()(rejudge)
app.command()(bench)
