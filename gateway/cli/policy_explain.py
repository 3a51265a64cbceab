"""`import-gateway policy explain`: why an import is, or was, allowed or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    properties,
    size,
    told,
    url_facts,
)
from gateway.cli.policy_completion import method_names, rule_names
from gateway.cli.serving import ConfigOption, DataOption

if TYPE_CHECKING:
    from gateway.cli.decided import Found
    from gateway.policy.explain import Explanation
    from gateway.policy.facts import FactValue


# Long by its options alone: they are read from the signature.
def explain(
    folder: Folder = Path(),
    method: Annotated[
        str | None, typer.Option(help="The import method.", show_default="by --url", autocompletion=method_names)
    ] = None,
    project: ProjectOption = "project",
    domain: DomainOption = "default",
    project_tag: TagOption = None,
    role: RoleOption = None,
    url: Annotated[str | None, typer.Option(help="Where the image would come from.")] = None,
    credential: Annotated[str | None, typer.Option(help="The operator's credential it asks for, by name.")] = None,
    disk_format: Annotated[str | None, typer.Option(help="What the record says.")] = None,
    container_format: Annotated[str | None, typer.Option(help="What the record says.")] = None,
    visibility: Annotated[str | None, typer.Option(help="What the record says.")] = None,
    image_property: Annotated[list[str] | None, typer.Option("--property", help="name=value; repeat for more.")] = None,
    announced: Annotated[str | None, typer.Option("--size", help="The announced size, such as 20GiB.")] = None,
    content_size: Annotated[str | None, typer.Option(help="The size of the bytes themselves.")] = None,
    virtual_size: Annotated[str | None, typer.Option(help="What the bytes unpack to.")] = None,
    final: Annotated[bool, typer.Option("--final", help="Decide as after the last byte: doubt refuses.")] = False,
    decision: Annotated[str | None, typer.Option(help="Explain this recorded decision, by its id.")] = None,
    log: Annotated[list[Path] | None, typer.Option(help="Where to look for it; rotated logs too.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    rule: Annotated[str | None, typer.Option(help="Show this rule alone.", autocompletion=rule_names)] = None,
    now: NowOption = None,
    json: JsonOption = False,
    engine: EngineOption = "cel-expr",
) -> None:
    """Why is an import allowed or refused? Every rule it touches, clause by clause.

    `+` holds, `-` fails, `?` is not known yet, `!` cannot be evaluated. What no option says is not known.

    With --decision the facts are those of the record, and the tree is the one it was made under: the site's (--config,
    --data) if it was kept there, else DIR.
    """
    if decision is not None:
        _print_decided(decision, folder, log, config, data, rule, engine, json=json)
        return
    said: Mapping[str, FactValue | None] = {
        "request.credential": credential,
        "request.disk_format": disk_format,
        "request.container_format": container_format,
        "request.visibility": visibility,
        "request.properties": properties(image_property) if image_property else None,
        "request.size": size(announced, "--size"),
        "content.size": size(content_size, "--content-size"),
        "content.virtual_size": size(virtual_size, "--virtual-size"),
    }
    known = {**url_facts(url), **{name: value for name, value in said.items() if value is not None}}
    asking = {**caller_facts(project, domain, project_tag, role), **known}
    chosen = method or ("web-download" if url else "glance-direct")
    _print(_explained(folder, engine, chosen, asking, now, final=final), rule, json=json)


def _explained(
    folder: Path, engine: str, method: str, asking: Mapping[str, FactValue], now: str | None, *, final: bool
) -> Explanation:
    from gateway.policy.explain import explain as explained
    from gateway.policy.facts import Facts

    facts = Facts(asking, moment(now))
    with told(folder):
        policy = compiled(folder, engine)
    return explained(policy, method, facts, final=final)


def _print(explanation: Explanation, rule: str | None, *, json: bool, found: Found | None = None) -> None:
    from gateway.cli.decided import as_json, heading
    from gateway.cli.speech import print_json
    from gateway.policy import explain as explaining

    if rule is not None:
        alone = tuple(one for one in explanation.accounts if one.rule.name == rule)
        explanation = replace(explanation, accounts=alone, others=0)
    if json:
        print_json({**(as_json(found) if found else {}), **explaining.as_json(explanation)})
    else:
        print(heading(found) if found else "", end="")
        print(explaining.text(explanation), end="")


def _print_decided(
    decision: str,
    folder: Path,
    log: list[Path] | None,
    config: Path | None,
    data: Path | None,
    rule: str | None,
    engine: str,
    *,
    json: bool,
) -> None:
    from gateway.cli.decided import find
    from gateway.cli.speech import remark

    with told(folder):
        found = find(decision, folder, logs=log or [], config=config, data=data, engine=engine)
    for text in found.remarks():
        remark(f"Note: {text}", style="yellow")
    _print(found.explained(), rule, json=json, found=found)
