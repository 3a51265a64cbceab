"""Every number the service tells about itself, for Prometheus. A metric is added here, and moved where it happens.

Counters and summaries are moved by the code that does the thing; gauges are read from the site when somebody asks.
Nothing here names a project, a user, an image or a host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Summary, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.model.decision import Decision
from gateway.model.imports import Import
from gateway.model.verdict import StageReport

if TYPE_CHECKING:
    from gateway.service.site import Progress, Site
    from gateway.stages.pipeline import Pipeline
    from gateway.stores.guarded import Call as StoreCall

MOST_EXEMPTIONS = 100
"""Exemptions that are told of, those that end first: a tree may have more than anybody looks at."""

_DAY = 86400.0

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time beside every counter tells nobody anything


class Metrics:
    """The numbers of one site. `PREFIX_` stands before every name."""

    PREFIX = "import_gateway"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = self._counter("decisions", "Decisions about imports.", "action", "reason")
        self.imports_ended = self._counter("imports_ended", "Imports that ended.", "method", "status", "code")
        self.received = self._counter("received_bytes", "Bytes of images taken in, refused ones too.")
        self.stage_seconds = self._summary("stage_seconds", "Time stages took, a blob at a time.", "stage", "verdict")
        self.store_bytes = self._counter("store_bytes", "Bytes into and out of stores.", "store", "direction")
        self.store_seconds = self._summary("store_seconds", "Time stores took, a call at a time.", "store", "call")
        self.store_errors = self._counter("store_errors", "Calls of stores that failed.", "store", "call", "code")
        self.upstream_seconds = self._summary("upstream_seconds", "Time until answers from behind began.", "status")
        self.shadow_decisions = self._counter("shadow_decisions", "Decisions the shadow tree was asked for.")
        self.shadow_changes = self._counter("shadow_changes", "Those it would make otherwise.", "from", "to")
        self.shadow_dropped = self._counter("shadow_dropped", "Decisions it was not asked for: it was behind.")

    def decided(self, decision: Decision) -> None:
        reason = decision.reasons[0].code.value if decision.reasons else ""
        self.decisions.labels(decision.action.value, reason).inc()

    def ended(self, work: Import, code: str = "") -> None:
        """`code` is why it failed; empty for success."""
        self.imports_ended.labels(work.method, "failure" if code else "success", code).inc()

    @contextmanager
    def taking(self, progress: Progress, pipeline: Pipeline) -> Iterator[None]:
        """Around one delivery, whatever becomes of it."""
        try:
            yield
        finally:
            self.received.inc(progress.done)
            self._ran(pipeline.reports())

    def stored(self, call: StoreCall) -> None:
        self.store_seconds.labels(call.store, call.name).observe(call.seconds)
        for direction, count in (("in", call.bytes_in), ("out", call.bytes_out)):
            if count:
                self.store_bytes.labels(call.store, direction).inc(count)
        if call.code:
            self.store_errors.labels(call.store, call.name, call.code).inc()

    def upstream(self, status: int | None, seconds: float) -> None:
        """A call of the image service behind the gateway; None where it was not answered."""
        self.upstream_seconds.labels(f"{status // 100}xx" if status else "away").observe(seconds)

    def _ran(self, reports: Iterable[StageReport]) -> None:
        for report in reports:
            self.stage_seconds.labels(report.name, report.outcome.value).observe(report.seconds)

    def text(self, site: Site, open_imports: Mapping[str, int]) -> bytes:
        """The exposition format, version 0.0.4. `open_imports` by status."""
        now = CollectorRegistry()
        now.register(_Now(site, open_imports, self.PREFIX))
        return generate_latest(self.registry) + generate_latest(now)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, namespace=self.PREFIX, registry=self.registry)

    def _summary(self, name: str, about: str, *labels: str) -> Summary:
        return Summary(name, about, labels, namespace=self.PREFIX, registry=self.registry)


class _Now(Collector):
    """The gauges, as the site is at this moment."""

    def __init__(self, site: Site, open_imports: Mapping[str, int], prefix: str) -> None:
        self._site, self._open, self._prefix = site, open_imports, prefix

    def collect(self) -> Iterator[Metric]:
        site, now = self._site, self._site.clock.now()
        yield from self._trees(site, now)
        yield self._gauge("stops", "Emergency stops in force.", {(): len(site.policy.stops)})
        yield self._gauge("imports_open", "Imports by status.", {(k,): n for k, n in self._open.items()}, "status")
        yield self._gauge("deliveries", "Blobs being written by this process.", {(): len(site.writing)})
        done = sum(progress.done for progress in site.writing.values())
        yield self._gauge("delivery_bytes", "Bytes they have taken in so far.", {(): done})
        ends = {(name,): (until - now).total_seconds() / _DAY for name, until in _ending(site)}
        yield self._gauge("exemption_days_left", "Days until an exemption ends; below 0: ended.", ends, "exemption")

    def _trees(self, site: Site, now: datetime) -> Iterator[Metric]:
        states = {name: watched.state for name, watched in site.trees.items()}
        known = {(name, state.revision or ""): 1 for name, state in states.items()}
        yield self._gauge("policy_info", "The tree in force.", known, "tree", "revision")
        rules = {(name,): state.rules for name, state in states.items()}
        yield self._gauge("policy_rules", "Rules of the tree in force.", rules, "tree")
        ages = {(name,): (now - state.since).total_seconds() for name, state in states.items() if state.since}
        yield self._gauge("policy_age_seconds", "How long it has been in force.", ages, "tree")
        reloads = {(name,): state.reloads for name, state in states.items()}
        yield self._gauge("policy_loads", "Trees taken since the start.", reloads, "tree")
        pending = {(name,): int(state.pending is not None) for name, state in states.items()}
        yield self._gauge("policy_pending_error", "1 while the folder holds a tree with problems.", pending, "tree")

    def _gauge(self, name: str, about: str, values: Mapping[Any, float], *labels: str) -> Metric:
        family = GaugeMetricFamily(f"{self._prefix}_{name}", about, labels=labels)
        for named, value in values.items():
            family.add_metric(named, value)
        return family


def _ending(site: Site) -> list[tuple[str, datetime]]:
    each = (one for some in site.policy.tree.exemptions.values() for one in some)
    return sorted(((f"{one.policy}/{one.id}", one.until) for one in each), key=lambda end: end[1])[:MOST_EXEMPTIONS]
