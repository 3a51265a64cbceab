"""The stages a policy may name, in the order the engine runs them, with the options each takes.

Checks run on the original bytes; what a transform makes is inspected again by the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Option:
    """How an option is written. `words` closes it; `shape` is one of word, integer, size, duration, flag."""

    shape: str = "word"
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageWord:
    """`free`: any option name is taken, with a text as its value. `needed` options have no default."""

    options: Mapping[str, Option] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    transform: bool = False
    free: bool = False


_ON_ERROR = Option(words=("reject", "accept"))

STAGES: Mapping[str, StageWord] = {
    "decompress": StageWord({"max_size": Option("size"), "max_ratio": Option("integer")}, transform=True),
    "inspect": StageWord(
        {
            "extended_l2": Option("flag"),
            "snapshots": Option("flag"),
            "second_opinion": Option(words=("qemu-img",)),
        }
    ),
    "checksum": StageWord({"algorithm": Option(words=("md5", "sha1", "sha256", "sha384", "sha512"))}),
    "signature": StageWord({"trust": Option(), "on_error": _ON_ERROR}, needed=frozenset({"trust"})),
    "malware-scan": StageWord({"on_error": _ON_ERROR, "max_database_age": Option("duration")}),
    "convert": StageWord(
        {"target": Option(words=("qcow2", "raw", "vmdk", "vhd", "vhdx", "vdi"))},
        needed=frozenset({"target"}),
        transform=True,
    ),
    "inject": StageWord(transform=True, free=True),
    "webhook": StageWord({"name": Option(), "on_error": _ON_ERROR}, needed=frozenset({"name"})),
    "approve": StageWord({"by": Option()}),
}
"""Every stage by name; the order of the entries is the running order."""

RUNNING_ORDER = tuple(STAGES)
TRANSFORMS = frozenset(name for name, stage in STAGES.items() if stage.transform)
