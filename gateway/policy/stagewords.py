"""The stages a policy may name, in the order the engine runs them, with the options each takes.

Checks run on the original bytes; what a transform makes is inspected again by the pipeline.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from gateway.model.decision import StageCall


@dataclass(frozen=True, slots=True)
class Option:
    """How an option is written. `words` closes it; `shape` is one of word, integer, size, duration, flag. `needs` names
    what a site has to have set up for it, beside the stage.
    """

    shape: str = "word"
    words: tuple[str, ...] = ()
    needs: str = ""


@dataclass(frozen=True, slots=True)
class StageWord:
    """`free`: any option name is taken, with a text as its value. `needed` options have no default. The option `names`
    names a thing of the site, which has to be set up like the stage itself.
    """

    options: Mapping[str, Option] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    transform: bool = False
    free: bool = False
    names: str = ""


_ON_ERROR = Option(words=("reject", "accept"))

STAGES: Mapping[str, StageWord] = {
    "decompress": StageWord({"max_size": Option("size"), "max_ratio": Option("integer")}, transform=True),
    "inspect": StageWord(
        {
            "extended_l2": Option("flag"),
            "snapshots": Option("flag"),
            "second_opinion": Option(words=("qemu-img",), needs="second-opinion"),
        }
    ),
    "checksum": StageWord(
        {"algorithm": Option(words=("md5", "sha1", "sha256", "sha384", "sha512")), "required": Option("flag")}
    ),
    "signature": StageWord({"trust": Option(), "on_error": _ON_ERROR}, needed=frozenset({"trust"}), names="trust"),
    "malware-scan": StageWord({"on_error": _ON_ERROR, "max_database_age": Option("duration")}),
    "convert": StageWord(
        {"target": Option(words=("qcow2", "raw", "vmdk", "vhd", "vhdx", "vdi")), "compress": Option("flag")},
        needed=frozenset({"target"}),
        transform=True,
    ),
    "inject": StageWord(transform=True, free=True),
    "webhook": StageWord({"name": Option(), "on_error": _ON_ERROR}, needed=frozenset({"name"}), names="name"),
    "approve": StageWord({"by": Option(), "expires": Option("duration")}),
}
"""Every stage by name; the order of the entries is the running order."""

RUNNING_ORDER = tuple(STAGES)
TRANSFORMS = frozenset(name for name, stage in STAGES.items() if stage.transform)
BUILT = frozenset(STAGES) | {one.needs for stage in STAGES.values() for one in stage.options.values() if one.needs}
"""Everything a site can have set up, for questions that are asked without one."""
_NEEDS = {(stage, name): o.needs for stage, word in STAGES.items() for name, o in word.options.items() if o.needs}


def set_up(call: StageCall, stages: Container[str]) -> bool:
    """Whether a site that has `stages` can run it. One that has `signature/NAME` can run it for this name alone,
    one that has `signature` for all names.
    """
    for name, _ in call.options:
        if (call.name, name) in _NEEDS and _NEEDS[call.name, name] not in stages:
            return False
    if call.name in stages:
        return True
    option = STAGES[call.name].names if call.name in STAGES else ""
    return bool(option) and f"{call.name}/{call.as_mapping().get(option)}" in stages
