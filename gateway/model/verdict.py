"""What the stages found out about a stream of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Outcome(StrEnum):
    """How one stage ended."""

    PASSED = "passed"
    REFUSED = "refused"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a stage noticed. `code` is stable (`backing-file`), `message` and `remedy` are for people."""

    code: str
    message: str
    remedy: str = ""
    fatal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReport:
    """One stage's part of the verdict, as `tasks` shows it. `size` in bytes seen by the stage.

    `options` are the options the stage ran with, so that a later plan can tell whether it is already covered.
    """

    name: str
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    size: int = 0
    seconds: float = 0.0
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known once the last block went by.

    `size` counts stored bytes (after a transform), `source_size` the bytes as they came in. `hashes` maps an
    algorithm's hashlib name to a hex digest of the *stored* bytes, `source_hashes` of those that came in, where a stage
    changed them. `disk_format` is what the content proved to be; None where no stage looked. `virtual_size` in bytes,
    None where unknown. `made_of` is what was sent, where the stored bytes are a conversion of it; its `reports` are
    empty, because they are among these.
    """

    size: int
    source_size: int
    hashes: Mapping[str, str] = field(default_factory=dict)
    source_hashes: Mapping[str, str] = field(default_factory=dict)
    disk_format: str | None = None
    virtual_size: int | None = None
    reports: tuple[StageReport, ...] = ()
    made_of: Verdict | None = None

    @property
    def as_sent(self) -> Verdict:
        """The verdict on the bytes before a conversion, with all reports; this one where there was none."""
        return self if self.made_of is None else replace(self.made_of, reports=self.reports)
