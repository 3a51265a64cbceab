"""The pipeline every image byte goes through: cap, stages, digests, verdict.

Whatever sizes the caller feeds, stages see blocks of one fixed size, so the same bytes always get the same verdict.
A refusal is raised out of the iterators `feed` and `finish` return: a store that reads them commits no refused bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from gateway.model.decision import StageCall
from gateway.model.errors import OverLimit, Refusal
from gateway.model.verdict import Finding, Outcome, StageReport, Verdict
from gateway.stages.checksum import Checksum
from gateway.stages.cutter import Cutter
from gateway.stages.decompress import Decompress
from gateway.stages.digests import Digests
from gateway.stages.evidence import CERTIFICATES, Evidence, together
from gateway.stages.imagesignature import is_signed
from gateway.stages.inspect import Inspect
from gateway.stages.malware import MalwareScan
from gateway.stages.signature import Signature
from gateway.stages.stage import BLOCK_SIZE, Block, Brief, Declared, Seen, Stage, Tools

__all__ = ["STAGES", "Declared", "Evidence", "Pipeline", "Tools", "runnable"]

STAGES: Mapping[str, type[Stage]] = {
    "decompress": Decompress,
    "inspect": Inspect,
    "checksum": Checksum,
    "signature": Signature,
    "malware-scan": MalwareScan,
}
"""Every stage this build can run, in running order."""

UNFINISHED = Finding(code="unfinished", message="The stream ended before this stage could give a verdict.", fatal=False)


def runnable(tools: Tools) -> frozenset[str]:
    """The stages that can run here: those whose tools are set up, `signature/NAME` for each name there are keys for."""
    trusted = tools.keys.names if tools.keys is not None else frozenset[str]()
    ready = {name for name, stage in STAGES.items() if name != "signature" and stage.ready(tools)}
    return frozenset(ready | {f"signature/{name}" for name in trusted})


class Link:
    """A stage in its place: runs it, and keeps its time, its byte count and how it ended."""

    def __init__(self, stage: Stage, tools: Tools) -> None:
        self.stage = stage
        self._tick = tools.tick
        self._cutter = Cutter(tools.lasting)
        self._size = 0
        self._seconds = 0.0
        self.refusal: Refusal | None = None
        self._closed = False

    def feed(self, block: Block) -> Iterator[Block]:
        self._size += len(block)
        return self._cut(self.stage.feed(block))

    def finish(self) -> Iterator[Block]:
        yield from self._cut(self.stage.finish())
        yield from self._cutter.rest()

    def settle(self) -> None:
        with self._measured():
            self.stage.settle()

    def close(self, seen: Seen) -> None:
        with self._measured():
            self.stage.close(seen)
        self._closed = True

    def _cut(self, blocks: Iterator[Block]) -> Iterator[Block]:
        while True:
            with self._measured():
                block = next(blocks, None)
            if block is None:
                return
            yield from self._cutter.feed(block)

    @contextmanager
    def _measured(self) -> Iterator[None]:
        start = self._tick()
        try:
            yield
        except Refusal as refusal:
            self.refusal = refusal
            raise
        finally:
            self._seconds += self._tick() - start

    def report(self) -> StageReport:
        return StageReport(
            name=self.stage.call.name,
            outcome=self._outcome(),
            findings=tuple(self._findings()),
            size=self._size,
            seconds=self._seconds,
            options=self.stage.call.as_mapping(),
        )

    def _outcome(self) -> Outcome:
        if self.refusal:
            return Outcome.REFUSED
        return Outcome.PASSED if self._closed else Outcome.SKIPPED

    def _findings(self) -> Iterator[Finding]:
        yield from self.stage.findings
        if self.refusal:
            yield Finding(code=self.refusal.code, message=self.refusal.message, remedy=self.refusal.remedy)
        elif not self._closed:
            yield UNFINISHED


class Pipeline:
    """One stream's walk: `feed` every block, `finish` once, then ask for the `verdict`.

    `max_size` caps the bytes as they are sent; `expected` maps algorithm names to hex digests of those same bytes and
    brings a `checksum` stage with it, as do digests among the `evidence`. `hashes` are always computed, over the stored
    bytes. An unknown stage name is a KeyError, an unknown algorithm a ValueError: the caller's mistakes. What a stage
    can tell before the first byte is raised here: Unavailable for an option it does not have, BadRequest for a proof
    that is missing.
    """

    def __init__(
        self,
        calls: Sequence[StageCall],
        *,
        declared: Declared,
        max_size: int | None = None,
        hashes: Sequence[str] = ("md5", "sha512"),
        expected: Mapping[str, str] | None = None,
        evidence: Evidence | None = None,
        tools: Tools | None = None,
    ) -> None:
        tools, evidence = tools or Tools(), evidence or Evidence()
        expected = together(expected or {}, evidence.expected)
        calls = in_order([*calls, *implied(calls, expected, evidence, tools)])
        brief = Brief(
            declared=declared,
            max_size=max_size,
            expected=expected,
            evidence=evidence,
            stages=frozenset(call.name for call in calls),
            tools=tools,
        )
        stages = [STAGES[call.name](call, brief) for call in calls]
        asked = [algorithm for stage in stages for algorithm in stage.algorithms]
        self._max_size = max_size
        self._links = [Link(stage, tools) for stage in stages]
        self.lasting = tools.lasting
        self._cutter = Cutter(tools.lasting)
        self._stored = Digests([*hashes, *asked, *expected], tools)
        self._source = Digests([*expected, *hashes[-1:]], tools) if "decompress" in brief.stages else None
        self._size = 0
        self._source_size = 0
        self._lent = False
        self._finished = False

    def feed(self, block: Block) -> Iterator[Block]:
        """The blocks to store; read it to its end before the next `feed`. Raises ContentRefused, OverLimit.

        A block lasts as `Block` says, here and there. Blocks of 1 MiB leave as the same objects when no stage
        transforms them. Bytes up to the cap are judged before the cap is: a refusal does not depend on block sizes.
        """
        room = len(block) if self._max_size is None else max(0, self._max_size - self._source_size)
        self._source_size += len(block)
        for whole in self._cutter.feed(block if room >= len(block) else memoryview(block)[:room]):
            yield from self._through(whole)
        self._settle_lent(block)
        if room < len(block):
            raise self._over_limit()

    def finish(self) -> Iterator[Block]:
        """The last blocks, then every stage's last word. Raises ContentRefused, OverLimit; again, if one was raised."""
        self._still_clean()
        for whole in self._cutter.rest():
            yield from self._through(whole)
        for place, link in enumerate(self._links):
            for block in link.finish():
                yield from self._onward(place + 1, block)
        for link in self._links:
            link.close(self._seen())
        self._finished = True

    def release(self) -> None:
        """Let go of every tool; last of all, however the stream ended. From any thread."""
        for link in self._links:
            link.stage.release()

    def verdict(self) -> Verdict:
        """Only after `finish` was read to its end; a RuntimeError before."""
        if not self._finished:
            raise RuntimeError("a verdict is asked for before the stream was finished")
        return Verdict(
            size=self._size,
            source_size=self._source_size,
            hashes=self._stored.hexdigests(),
            source_hashes=self._source.hexdigests() if self._source else {},
            disk_format=next((link.stage.disk_format for link in self._links if link.stage.disk_format), None),
            virtual_size=next((s for link in self._links if (s := link.stage.virtual_size) is not None), None),
            reports=self.reports(),
        )

    def reports(self) -> tuple[StageReport, ...]:
        """What each stage has to say so far; after a refusal it shows which stage refused."""
        return tuple(link.report() for link in self._links)

    def _through(self, block: Block) -> Iterator[Block]:
        return self._hashed(self._source, block) if self._source else self._onward(0, block)

    def _hashed(self, source: Digests, block: Block) -> Iterator[Block]:
        """From the first block on it is known whether bytes change; if not, the stored digests are the source's."""
        source.begin(block)
        yield from self._onward(0, block)
        source.settle()
        if not any(link.stage.changes for link in self._links):
            self._source = None

    def _onward(self, place: int, block: Block) -> Iterator[Block]:
        if place == len(self._links):
            self._size += len(block)
            self._stored.begin(block)
            yield block  # stored while it is hashed
            self._stored.settle(self.lasting - 1)
            return
        for out in self._links[place].feed(block):
            yield from self._onward(place + 1, out)

    def _settle_lent(self, block: Block) -> None:
        """Small blocks may follow a lent one without any that leaves, so nothing would tell when it was used up."""
        if len(block) < BLOCK_SIZE and self._lent:
            self._stored.settle()
            for link in self._links:
                link.settle()
        self._lent = len(block) >= BLOCK_SIZE

    def _seen(self) -> Seen:
        stored = self._stored.hexdigests()
        source = self._source.hexdigests() if self._source else stored
        return Seen(size=self._size, source_size=self._source_size, hashes=stored, source_hashes=source)

    def _still_clean(self) -> None:
        if self._max_size is not None and self._source_size > self._max_size:
            raise self._over_limit()
        for link in self._links:
            if link.refusal:
                raise link.refusal

    def _over_limit(self) -> OverLimit:
        return OverLimit(
            f"The image is larger than the {self._max_size} bytes this import may have.",
            remedy="Shrink the image (qemu-img convert -c to qcow2, for one), or ask the operator for a higher limit.",
        )


def implied(
    calls: Sequence[StageCall], expected: Mapping[str, str], evidence: Evidence, tools: Tools
) -> Iterator[StageCall]:
    """What is checked although no policy asks: digests somebody expects, the signature that an image comes with."""
    if expected and all(call.name != "checksum" for call in calls):
        yield StageCall("checksum")
    known = tools.keys is not None and CERTIFICATES in tools.keys.names
    asked = any(call.name == "signature" and call.as_mapping().get("trust") == CERTIFICATES for call in calls)
    if known and is_signed(evidence.properties) and not asked:
        yield StageCall("signature", (("trust", CERTIFICATES),))


def in_order(calls: Sequence[StageCall]) -> list[StageCall]:
    """The calls in STAGES' order."""
    order = list(STAGES)
    unknown = [call.name for call in calls if call.name not in STAGES]
    if unknown:
        raise KeyError(unknown[0])
    return sorted(calls, key=lambda call: order.index(call.name))
