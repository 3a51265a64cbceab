"""Lints about what has ended, and what is about to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gateway.policy.lints.lint import Linted, lint, said
from gateway.policy.problems import Level, Problem

SOON = timedelta(days=30)
FAR = timedelta(days=366)


@lint(Level.WARNING)
def expired_rule(tree: Linted) -> Iterator[Problem]:
    """A rule has ended. It stays in the file and decides nothing, and whoever reads the file believes it holds. Take
    it away, or give it another `until`.

    before:
    - id: freeze
      deny: all
      message: No imports during the move.
      until: "2020-01-31T00:00:00Z"
    after:
    - id: any
      allow: all
    """
    for rule in tree.policy.rules:
        if rule.active_until is not None and rule.active_until <= tree.now:
            yield said(tree.at(rule, "until"), f"'{rule.name}' ended {rule.active_until:%Y-%m-%d}", "take it away")


@lint(Level.WARNING)
def expiring_rule(tree: Linted) -> Iterator[Problem]:
    """A rule ends within 30 days. When the day comes, the cloud behaves otherwise and no file has changed: decide
    now what holds afterwards.

    before:
    - id: freeze
      deny: [web-download]
      message: No downloads during the move.
      until: "2026-12-01T00:00:00Z"
    after:
    - id: freeze
      deny: [web-download]
      message: No downloads during the move.
      until: "2027-06-30T00:00:00Z"
    """
    for rule in tree.policy.rules:
        if rule.active_until is not None and tree.now < rule.active_until <= tree.now + SOON:
            message = f"'{rule.name}' ends in {(rule.active_until - tree.now).days} days"
            yield said(tree.at(rule, "until"), message, "decide what holds afterwards")


@lint(Level.WARNING)
def expired_exemption(tree: Linted) -> Iterator[Problem]:
    """An exemption has ended. It loosens nothing any more, and exemptions that nobody takes away hide those that
    still count.

    before:
    rules:
      - {id: cap, limit: all, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2020-01-31T00:00:00Z"
    after:
    rules:
      - {id: cap, limit: all, within: {max_size: 20GiB}}
    """
    for exemption, _ in tree.exemptions():
        if exemption.until <= tree.now:
            message = f"'{exemption.policy}/{exemption.id}' ended {exemption.until:%Y-%m-%d}"
            yield said(tree.exempting(exemption, "until"), message, "take it away")


@lint(Level.WARNING)
def expiring_exemption(tree: Linted) -> Iterator[Problem]:
    """An exemption ends within 30 days. Imports that pass today will be refused on that day: ask its owner whether
    they still need it.

    before:
    rules:
      - {id: cap, limit: all, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2026-12-01T00:00:00Z"
    after:
    rules:
      - {id: cap, limit: all, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 40GiB}
        reason: One large appliance, until the vendor has split it.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
    """
    for exemption, _ in tree.exemptions():
        if tree.now < exemption.until <= tree.now + SOON:
            message = f"'{exemption.policy}/{exemption.id}' ends in {(exemption.until - tree.now).days} days"
            yield said(tree.exempting(exemption, "until"), message, "ask its owner")


@lint(Level.INFO)
def distant_exemption(tree: Linted) -> Iterator[Problem]:
    """An exemption lasts for more than a year. Whoever approved it may be gone by then, and nobody will look at it
    before. Let it end sooner, or change the rule if it does not fit.

    before:
    rules:
      - {id: cap, limit: all, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2099-01-31T00:00:00Z"
    after:
    rules:
      - {id: cap, limit: all, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
    """
    for exemption, _ in tree.exemptions():
        if exemption.until > tree.now + FAR:
            message = f"'{exemption.policy}/{exemption.id}' lasts until {exemption.until:%Y-%m-%d}"
            yield said(tree.exempting(exemption, "until"), message, "let it end within a year")
