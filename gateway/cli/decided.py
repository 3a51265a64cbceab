"""A recorded decision, found in the site's records or in a log, and the tree it is explained with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.policy_asking import compiled, registered, schema
from gateway.cli.records import opened, settings_of
from gateway.model.errors import NotFound

if TYPE_CHECKING:
    from gateway.policy.explain import Explanation
    from gateway.policy.replaying import Recorded
    from gateway.policy.rules import Policy
    from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Found:
    """The record as it was kept, and the tree to explain it with: that of its revision where it could be had."""

    entry: Mapping[str, Any]
    recorded: Recorded
    policy: Policy

    def remarks(self) -> Iterator[str]:
        if self.policy.revision != self.recorded.revision:
            yield f"it was made under {self.recorded.revision}; this is what {self.policy.revision} says of it."
        if self.lacks:
            yield "the values of properties are not kept, so rules that ask for them are told as not known."

    @property
    def lacks(self) -> bool:
        return bool(self.recorded.facts.values.keys() - self._known().values.keys())

    def _known(self) -> Any:
        from gateway.policy.replaying import Replay
        from gateway.policy.stagewords import BUILT

        return Replay(self.policy, BUILT).known(self.recorded)

    def explained(self) -> Explanation:
        """By the recorded facts, at the recorded time. What is not kept is not known, and then nothing is final."""
        from gateway.policy.explain import explain
        from gateway.policy.stagewords import BUILT
        from gateway.policy.stops import laid_over, stop_rules

        over = laid_over(self.policy, stop_rules(self.recorded.stops))
        final = self.recorded.final and not self.lacks
        return explain(over, self.recorded.method, self._known(), final=final, stages=BUILT)


def find(
    decision: str, folder: Path, *, logs: Sequence[Path], config: Path | None, data: Path | None, engine: str
) -> Found:
    """Raises NotFound where nobody recorded it, Problems for a tree that is wrong, Unavailable."""
    from gateway.policy.replaying import recorded

    settings = settings_of(config, data)
    kept = asyncio.run(_kept(settings, decision)) if not logs or config or data else (None, {})
    entry = kept[0] or _logged(decision, logs or [settings.decision_log_path])
    if entry is None:
        raise NotFound(
            f"There is no record of decision {decision}.",
            remedy="Name its log with --log, a rotated one too, or the site with --config or --data.",
        )
    try:
        found = recorded(entry)
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"The record of decision {decision} cannot be read.", remedy="Look at its line in the log.")
    return Found(entry, found, _tree(kept[1].get(entry["revision"]), entry, folder, engine))


async def _kept(settings: Settings, decision: str) -> tuple[Mapping[str, Any] | None, dict[str, Mapping[str, str]]]:
    """The record beside its image, and every tree that may be the one it was made under."""
    async with opened(settings) as catalog, catalog.read() as tx:
        entry = await tx.decision(decision) or _logged(decision, [settings.decision_log_path])
        tree = await tx.tree(entry["revision"]) if entry else None
    return entry, {entry["revision"]: tree} if entry and tree else {}


def _logged(decision: str, logs: Sequence[Path]) -> Mapping[str, Any] | None:
    """Its line, found without reading every other one as JSON."""
    wanted = json.dumps(decision)[1:-1].encode()
    for log in logs:
        if not log.is_file():
            continue
        with log.open("rb") as lines:
            for line in lines:
                if wanted in line and (entry := _entry(line)).get("id") == decision and "facts" in entry:
                    return entry
    return None


def _entry(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _tree(sources: Mapping[str, str] | None, entry: Mapping[str, Any], folder: Path, engine_name: str) -> Policy:
    from gateway.policy.compiler import compile_tree
    from gateway.policy.expression import engine
    from gateway.policy.reader import Source

    if sources is None:
        return compiled(folder, engine_name)
    files = [Source(name, text.encode()) for name, text in sources.items()]
    return compile_tree(files, schema=schema("policy"), engine=engine(engine_name), methods=registered())


def heading(found: Found) -> str:
    entry = found.entry
    about = f"image {entry['image_id']}" if entry.get("image_id") else "no image"
    said = f"Decision {entry['id']} of {entry['at']}, {about}, was {found.recorded.answer}"
    return f"{said}\n\n"


def as_json(found: Found) -> dict[str, Any]:
    return {"decision": dict(found.entry), "explained_with": found.policy.revision, "notes": list(found.remarks())}
