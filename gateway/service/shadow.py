"""A shadow tree: asked everything the tree in force is asked, one step later and on a thread of its own.

It decides nothing. What it would have decided otherwise is counted, and written to a log of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping
from queue import Full, Queue
from threading import Thread
from typing import Any, NamedTuple

from gateway.model.decision import Action, Decision
from gateway.policy.decide import decide
from gateway.policy.facts import Facts
from gateway.policy.record import record
from gateway.policy.rules import Policy, StopRule
from gateway.policy.stops import laid_over
from gateway.ports import DecisionLog
from gateway.service.metrics import Metrics

log = logging.getLogger(__name__)

WAITING = 1000
"""Decisions that may wait for the shadow. Those that come when it is that far behind are dropped, and counted."""


class Asked(NamedTuple):
    """One decision of the tree in force, with what it was made of. `entry` is its record."""

    decision: Decision
    facts: Facts
    final: bool
    stops: tuple[StopRule, ...]
    entry: Mapping[str, Any]


class Shadow:
    """`policy` is the shadow tree, None while there is no valid one."""

    def __init__(self, changes: DecisionLog, metrics: Metrics, stages: Container[str] | None = None) -> None:
        self.policy: Policy | None = None
        self._changes = changes
        self._metrics = metrics
        self._stages = stages
        self._waiting: Queue[Asked | None] = Queue(WAITING)
        self._thread = Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def ask(self, asked: Asked) -> None:
        """From any thread. Never waits and never fails."""
        if self.policy is None:
            return
        try:
            self._waiting.put_nowait(asked)
        except Full:
            self._metrics.shadow_dropped.inc()

    def close(self) -> None:
        """What waits is answered first."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (asked := self._waiting.get()) is not None:
            try:
                self._answer(asked)
            except Exception:
                # A shadow is there to be wrong without consequences: the next decision is asked all the same.
                log.exception("the shadow tree could not decide about %s", asked.entry.get("id"))
                self._metrics.shadow_dropped.inc()

    def _answer(self, asked: Asked) -> None:
        policy = self.policy
        if policy is None:
            return
        tree, method = laid_over(policy, asked.stops), asked.decision.method
        other = decide(tree, method, asked.facts, final=asked.final, stages=self._stages)
        self._metrics.shadow_decisions.inc()
        if differs(asked.decision, other):
            self._metrics.shadow_changes.labels(said(asked.decision), said(other)).inc()
            self._changes.record(change(asked, other))


def differs(one: Decision, other: Decision) -> bool:
    """Whether a caller would notice: another answer, another reason, or another plan."""
    return said(one) != said(other) or (one.action is not Action.DENY and one.plan != other.plan)


def said(decision: Decision) -> str:
    """An outcome in a word: `allow`, `open`, or `deny:` and the first reason's code."""
    return f"deny:{decision.reasons[0].code}" if decision.action is Action.DENY else decision.action.value


def change(asked: Asked, other: Decision) -> dict[str, Any]:
    """The record of the decision that holds, and under `shadow` what the shadow tree says instead."""
    entry = record(other, asked.facts, decision_id="", image_id=None, final=asked.final)
    return {**asked.entry, "shadow": {name: entry[name] for name in SHADOWED}}


SHADOWED = ("action", "revision", "reasons", "plan", "outcomes")
