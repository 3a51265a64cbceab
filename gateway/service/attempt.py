"""One try at an import: what it stands on, what it has come to, and telling the records so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.model.errors import Cancelled, Refusal, Unavailable
from gateway.model.image import Image, Status
from gateway.model.imports import Import, ImportType
from gateway.model.usage import Quota
from gateway.model.verdict import StageReport, Verdict
from gateway.policy.rules import Policy
from gateway.ports import Description, Source, Target
from gateway.service.imports import worker_facts
from gateway.service.judge import Judgement, judge_under, seen
from gateway.service.site import Granted, Progress, Site
from gateway.service.usage import Meter
from gateway.stages.evidence import Evidence, given, together
from gateway.stages.pipeline import Declared, Pipeline
from gateway.stages.verdicts import reports_to_json


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One try: the import as it stood at its beginning, its image and the tree it was granted under.

    `left` are the stores still to fill, `failed` those that did not take their blob in this try. `quotas` are of the
    last decision, `meter` charges the blob that is being written, `description` is what the source says of its image,
    `source` the one that was opened last, `evidence` what was gathered to prove the bytes by. `kept` are reports of an
    earlier try, `after` those of the stages that run once the bytes are whole.
    """

    site: Site
    work: Import
    image: Image
    policy: Policy
    left: tuple[str, ...]
    failed: dict[str, Refusal] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    pipeline: Pipeline | None = None
    kept: tuple[StageReport, ...] = ()
    after: tuple[StageReport, ...] = ()
    description: Description | None = None
    source: Source | None = None
    evidence: Evidence | None = None
    quotas: tuple[Quota, ...] = ()
    meter: Meter | None = None

    @property
    def reports(self) -> tuple[StageReport, ...]:
        return (*(self.pipeline.reports() if self.pipeline is not None else self.kept), *self.after)

    @property
    def declared(self) -> Declared:
        return Declared(self.image.disk_format, self.image.container_format)

    @property
    def copies(self) -> bool:
        """Whether the image has its bytes already, and keeps its status."""
        return self.image.status is not Status.IMPORTING

    @property
    def stays_elsewhere(self) -> bool:
        """Whether the bytes are judged, but left where they are."""
        return self.work.type is ImportType.LOCATION

    @property
    def expected(self) -> Mapping[str, str]:
        """The digests the bytes have to have, by algorithm: what the source says, what the caller and the owner demand.

        Raises BadRequest, ContentRefused where they cannot all be met.
        """
        said = self.description.expected if self.description else {}
        return together(said, self.demanded, given(self.image.properties))

    @property
    def demanded(self) -> Mapping[str, str]:
        """The digest its caller demands of the bytes, by algorithm."""
        demanded = self.work.request.get("validation_data")
        return {demanded["os_hash_algo"]: demanded["os_hash_value"]} if isinstance(demanded, dict) else {}

    def judge(self, verdict: Verdict | None = None, target: Target | None = None) -> Judgement:
        """Decide under the pinned tree, with what is known by now. Runs in a thread."""
        values = dict(worker_facts(self.work))
        if target is not None:
            values |= {f"request.{name}": getattr(target, name) for name in ("scheme", "host", "port", "path")}
        if verdict is not None:
            values |= seen(verdict)
        judgement = judge_under(
            self.site, self.policy, self.work.method, values, image_id=self.image.id, final=verdict is not None
        )
        self.quotas = judgement.decision.plan.quotas
        self.progress.granted.append(Granted(self.policy, self.work.method, judgement.facts, self.image.id))
        return judgement

    def check_hop(self, target: Target) -> None:
        """A hop must be granted like the first one; told to stop, it goes no further."""
        if self.progress.stop is not None:
            raise self.progress.stop
        self.judge(target=target)

    @property
    def secret(self) -> Mapping[str, str]:
        """What only the worker may read of the request."""
        return self.site.seal.open(self.work.sealed) if self.work.sealed else {}

    @property
    def remark(self) -> str:
        """What its task says although nothing has failed; empty mostly."""
        if self.source is None or not self.source.resumed:
            return ""
        return f"The source broke off and was taken up again where it broke, {self.source.resumed} times so far."

    def values(self) -> dict[str, object]:
        """How far it has come, as fields of the import."""
        return {
            **({"message": self.remark} if self.remark else {}),
            "bytes_done": self.progress.done,
            "bytes_total": self.progress.total,
            "report": reports_to_json(self.reports),
            "stores_left": self.left,
            "stores_failed": {store: refusal.message for store, refusal in self.failed.items()},
        }


@asynccontextmanager
async def reporting(attempt: Attempt) -> AsyncIterator[None]:
    """Keep progress in the records while the bytes move; a lost fence or the end of the process tells them to stop."""
    reporter = asyncio.create_task(_report(attempt))
    try:
        yield
    finally:
        reporter.cancel()


async def _report(attempt: Attempt) -> None:
    site, progress = attempt.site, attempt.progress
    while True:
        await asyncio.sleep(site.limits.progress_interval.total_seconds())
        try:
            async with site.catalog.begin() as tx:
                current = await tx.progress(attempt.work.id, attempt.work.attempt, attempt.values())
        except Unavailable:
            continue  # progress is a courtesy; the next tick tries again
        if not current:
            progress.tell(Cancelled("The image was deleted, or another attempt took over."))
