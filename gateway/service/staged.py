"""What an after stage is given, and what it gives on: bytes that are whole and judged, before anybody may read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.model.image import Blob, Image
from gateway.model.verdict import Finding, StageReport, Verdict
from gateway.service.attempt import Attempt
from gateway.service.judge import Judgement
from gateway.service.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """`properties` are those the image gets with its bytes, `reports` of the after stages that have run. `judgement` is
    the decision on these very bytes, where a stage has made others of those the case was decided on.
    """

    blob: Blob
    verdict: Verdict
    properties: Mapping[str, str] = field(default_factory=dict)
    reports: tuple[StageReport, ...] = ()
    judgement: Judgement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """For whom an after stage works. `attempt` is None for bytes that came with their request; `source` may be shown.

    `notes` is where the stage that runs puts what it notices; they are in its report whatever becomes of it.
    """

    site: Site
    image: Image
    judgement: Judgement
    source: Mapping[str, object]
    attempt: Attempt | None = None
    notes: list[Finding] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The same for all tries of an import."""
        return self.attempt.work.id if self.attempt else self.judgement.id

    def note(self, code: str, message: str) -> None:
        self.notes.append(Finding(code=code, message=message, fatal=False))
