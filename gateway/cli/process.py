"""The process that serves: what `import-gateway serve` becomes once its options are understood.

What only a command line needs would stay in memory for as long as the service runs, 25 MiB of it in each process.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gateway.model.errors import Refusal

if TYPE_CHECKING:
    from gateway.settings import Settings

ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}
"""What the service runs with unless told otherwise. Each of its many threads would else have memory that it keeps."""

_WORDS = ("config", "host", "port", "data", "expect_revision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Those of `import-gateway serve`, and their words in between."""

    config: Path | None = None
    host: str | None = None
    port: int | None = None
    data: Path | None = None
    expect_revision: str | None = None
    demo: bool = False

    @classmethod
    def of(cls, words: Sequence[str]) -> Options:
        given = dict(word.split("=", 1) for word in words)
        return cls(
            config=Path(given["config"]) if "config" in given else None,
            host=given.get("host"),
            port=int(given["port"]) if "port" in given else None,
            data=Path(given["data"]) if "data" in given else None,
            expect_revision=given.get("expect_revision"),
            demo="demo" in given,
        )

    def words(self) -> list[str]:
        given = [f"{name}={value}" for name in _WORDS if (value := getattr(self, name)) is not None]
        return [*given, *(["demo=yes"] if self.demo else [])]


def become(options: Options) -> NoReturn:
    """This very process runs the service from now on. Never from the folder it stands in: -P."""
    sys.stdout.flush()
    command = [sys.executable, "-P", "-m", __name__, *options.words()]
    os.execve(sys.executable, command, {**ENVIRONMENT, **os.environ})


def main(words: Sequence[str]) -> None:
    """Exit codes: 0 stopped as asked, 1 refused or failed."""
    try:
        serve(Options.of(words))
    except Refusal as refusal:
        from gateway.cli.speech import say_refusal

        say_refusal(refusal)
        sys.exit(1)


def serve(options: Options) -> None:
    """Raises Refusal, Problems among them."""
    leave_out_what_nobody_uses()
    from gateway.settings import Settings, overridden, read_settings

    settings = overridden(
        read_settings(options.config) if options.config else Settings(),
        host=options.host,
        port=options.port,
        data=options.data.absolute() if options.data else None,
        expect_revision=options.expect_revision,
    )
    with _arranged(settings, options) as settings:
        if settings.identity.type == "none" and not settings.server.is_loopback:
            print(
                f"Warning: with identity.type none, everybody who reaches {settings.server.host} may do everything.",
                file=sys.stderr,
            )
        _run(settings, options.demo)


def leave_out_what_nobody_uses() -> None:
    """Parts of libraries that come with the parts we use: httpx's own command line, SQLAlchemy's ORM."""
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # it goes without where it cannot have it
    package = "sqlalchemy.ext.asyncio"
    if (found := find_spec(package)) is not None:
        # Nothing but its own start brings the ORM in; if a version needs it, it has it.
        sys.modules[package] = module_from_spec(found)
        try:
            import_module(f"{package}.engine")
        except (ImportError, AttributeError):
            del sys.modules[package]


def _run(settings: Settings, demo: bool) -> None:
    """A stop that was asked for is no failure; it unwinds, so that everything that was opened is closed."""
    from gateway.app import serve as run

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        run(settings, demo=demo)


def _arranged(settings: Settings, options: Options) -> AbstractContextManager[Settings]:
    """The settings to run with; a demo has its own users, and a folder that is removed at the end."""
    if not options.demo:
        return nullcontext(settings)
    from gateway.cli.demo_settings import demonstration

    return demonstration(settings, keep=options.data is not None)


if __name__ == "__main__":
    main(sys.argv[1:])
