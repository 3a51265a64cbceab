"""From `stages` in the settings to the tools that stages ask for outside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.methods.posting import poster
from gateway.methods.rules import FetchRules
from gateway.model.errors import Refusal, Unavailable
from gateway.ports import Clock
from gateway.service.lanes import Lane, waiting_lane
from gateway.settings.stages import (
    ConvertSettings,
    MalwareScanSettings,
    SignatureSettings,
    StageSettings,
    WebhookSettings,
)
from gateway.stages.pipeline import Tools
from gateway.tools.clamd import Clamd
from gateway.tools.qemu import QemuImg, set_up
from gateway.tools.sandbox import Bounds, Sandbox
from gateway.tools.webhooks import Endpoint, read_key

if TYPE_CHECKING:
    from gateway.tools.keys import SiteKeys

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """`checks`, by stage, say which tool that is, or raise Unavailable. `cut` ends every wait for a tool, for good."""

    tools: Tools
    checks: Mapping[str, Callable[[], str]]
    webhooks: Mapping[str, Endpoint]
    converter: QemuImg | None
    cut: Callable[[Refusal], None]


def equip(settings: StageSettings, clock: Clock, rules: FetchRules) -> Equipment:
    """Raises BadRequest, Conflict for a webhook that cannot be asked."""
    scanner, keys = _scanner(settings.malware_scan), _keys(settings.signature)
    converter = _converter(settings.convert)
    tools = Tools(
        lane=Lane,
        waiting_lane=waiting_lane,
        tick=clock.monotonic,
        scanner=scanner,
        keys=keys,
    )

    def cut(refusal: Refusal) -> None:
        if scanner is not None:
            scanner.cut(refusal)

    return Equipment(
        tools=tools,
        checks={
            **({"malware-scan": scanner.check} if scanner else {}),
            **({"signature": keys.check} if keys else {}),
            **({"convert": converter.check} if converter else {}),
        },
        webhooks={name: _endpoint(name, one, rules) for name, one in settings.webhooks.items()},
        converter=converter,
        cut=cut,
    )


def _endpoint(name: str, settings: WebhookSettings, rules: FetchRules) -> Endpoint:
    return Endpoint(
        post=poster(rules, settings.url, settings.ca_file),
        key=read_key(name, settings.secret_file),
        timeout=settings.timeout,
    )


def _scanner(settings: MalwareScanSettings) -> Clamd | None:
    address = settings.socket or (settings.host and (settings.host, settings.port))
    return Clamd(address, patience=settings.patience, scan_time=settings.scan_time) if address else None


def _converter(settings: ConvertSettings) -> QemuImg | None:
    """None where this machine lacks what it takes: then a policy that wants it withholds the methods."""
    bounds = Bounds(memory=settings.memory, cpu=int(settings.timeout) or 1, wall=settings.timeout)
    sandbox = Sandbox(at_once=settings.at_once)
    try:
        return set_up(sandbox, settings.program, looking=Bounds(), converting=bounds)
    except Unavailable as missing:
        log.info("stage convert is not set up: %s", missing.message)
        return None


def _keys(settings: SignatureSettings) -> SiteKeys | None:
    folder = settings.certificates
    if folder is None and not settings.keyrings:
        return None
    # What they are read with is large, and few sites have any.
    from gateway.tools.certificates import Certificates
    from gateway.tools.keyrings import Keyrings
    from gateway.tools.keys import SiteKeys

    certificates = Certificates(folder, settings.authorities) if folder else None
    return SiteKeys(certificates, Keyrings(settings.keyrings))
