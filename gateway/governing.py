"""From `policy` in the settings to the trees of a running site: loaded, watched, shadowed, and with stops over them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gateway.decisionlog import JsonLines
from gateway.model.errors import Conflict
from gateway.policy.compiler import Loaded, revision
from gateway.policy.expression import engine
from gateway.policy.reader import Source
from gateway.policy.rules import Policy
from gateway.service import stopping
from gateway.service.reloading import ReadTree, Watched
from gateway.service.shadow import Shadow
from gateway.service.site import Site
from gateway.settings import Settings
from gateway.shipped_files import shipped
from gateway.trees import Look, load, look, read_tree

Load = Callable[[Sequence[Source], Loaded | None], Loaded]


@dataclass(slots=True)
class TreeFolder:
    """`gateway.service.reloading.Folder` over a folder. Files that have not changed are not compiled again."""

    path: Path
    compiled: Load
    expected: str | None = None
    _before: Loaded | None = field(default=None, repr=False)

    def look(self) -> Look:
        return look(self.path)

    def load(self, in_force: str | None) -> ReadTree | None:
        """Raises Problems, Refusal for a folder that cannot be read, Conflict for a tree that is not the expected."""
        sources = read_tree(self.path)
        found = revision(sources)
        if self.expected is not None and found != self.expected:
            raise _unexpected(self.expected, found)
        return None if found == in_force else self._read(sources)

    def first(self) -> ReadTree:
        """The tree to start with. Raises as `load` does."""
        tree = self.load(None)
        assert tree is not None
        return tree

    def _read(self, sources: Sequence[Source]) -> ReadTree:
        self._before = self.compiled(sources, self._before)
        return ReadTree(self._before.policy, {source.name: source.text.decode() for source in sources})


def _unexpected(expected: str, found: str) -> Conflict:
    return Conflict(
        f"The policy tree is {found}, but {expected} is expected.",
        remedy="Deploy the expected tree, or name the new one with --expect-revision (policy.expect_revision).",
        code="unexpected-revision",
    )


def live_folder(settings: Settings, methods: Sequence[str]) -> TreeFolder:
    """The tree that decides."""
    return TreeFolder(settings.policy_directory, _load(settings, methods), settings.policy.expect_revision)


def recompiled(settings: Settings, methods: Sequence[str]) -> Callable[[Mapping[str, str]], Policy]:
    """Compiles the texts of a tree that was kept."""
    compiled = _load(settings, methods)
    return lambda files: compiled([Source(name, text.encode()) for name, text in files.items()], None).policy


def _load(settings: Settings, methods: Sequence[str]) -> Load:
    schema = json.loads((shipped("schemas") / "policy.schema.json").read_text())
    chosen = engine(settings.policy.engine)
    return lambda sources, before: load(sources, schema=schema, engine=chosen, methods=methods, previous=before)


async def govern(site: Site, settings: Settings, live: TreeFolder, tree: ReadTree, stack: AsyncExitStack) -> None:
    """`tree` is in force, with the stops of the records over it; from now on both are watched."""
    watched = Watched("live", live, partial(_take, site), site.clock, settings.policy.watch)
    await watched.accept(tree)
    await stopping.refresh(site)
    site.trees = {"live": watched}
    if settings.policy.shadow is not None:
        site.trees["shadow"] = _shadow(site, settings, settings.policy.shadow, stack)
    for running in (*(one.forever() for one in site.trees.values()), stopping.forever(site)):
        stack.callback(asyncio.create_task(running).cancel)


async def _take(site: Site, tree: ReadTree) -> None:
    """Its files are kept first: what is decided under it can then always be decided again."""
    async with site.catalog.begin() as tx:
        await tx.keep_tree(tree.policy.revision, tree.files)
    site.policy.swap(tree.policy)


def _shadow(site: Site, settings: Settings, folder: Path, stack: AsyncExitStack) -> Watched:
    """Whatever is wrong with a shadow tree, the service starts without it and waits for a better one."""
    changes = JsonLines(settings.shadow_log_path, required=False)
    stack.callback(changes.close)
    shadow = site.shadow = Shadow(changes, site.metrics, site.stages)
    stack.callback(shadow.close)

    async def take(tree: ReadTree) -> None:
        shadow.policy = tree.policy

    watched = Watched("shadow", TreeFolder(folder, _load(settings, site.policy.tree.methods)), take, site.clock,
                      settings.policy.watch)  # fmt: skip
    watched.ask()
    return watched
