"""The part of the settings that stages need: the tools they ask outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.settings.units import Bytes, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class MalwareScanSettings:
    """ClamAV's clamd, at a unix `socket` or at `host` and `port`; the stage malware-scan is set up where one is named.

    `patience` is for every step that waits for no scan, `scan_time` for the word on one image.
    """

    socket: Path | None = None
    host: str | None = None
    port: int = 3310
    patience: Seconds = 10.0
    scan_time: Seconds = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSettings:
    """What signatures are checked with; `trust:` in a policy names it.

    `keyrings` are OpenPGP keys of publishers, by name. `certificates` is a folder of UUID.pem files, trusted under the
    name `certificates`; with `authorities` (PEM) they have to be issued by one of those.
    """

    certificates: Path | None = None
    authorities: Path | None = None
    keyrings: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertSettings:
    """qemu-img in a sandbox of bubblewrap; where this machine has both, images can be converted and looked at twice.

    `memory`, `timeout` bound one conversion, `at_once` how many there are. `spool` is where they work, by default a
    folder in `data`; leftovers are removed at the start. `spool_size` bounds each file in there.
    """

    program: str = "qemu-img"
    memory: Bytes = 1 << 30
    timeout: Seconds = 3600.0
    at_once: int = 2
    spool: Path | None = None
    spool_size: Bytes = 100 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """An endpoint of the operator's that the stage webhook asks: its URL, the file with the key that requests are
    signed with, and how long one question may take. `ca_file` None is `fetch.ca_file`.
    """

    url: str
    secret_file: Path
    timeout: Seconds = 10.0
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveSettings:
    """`expires` is how long an import waits where its policy does not say; `own` lets people approve their own."""

    expires: Seconds = 604800.0
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """What stages ask outside. A policy may demand a stage only where it is set up here."""

    malware_scan: MalwareScanSettings = field(default_factory=MalwareScanSettings)
    signature: SignatureSettings = field(default_factory=SignatureSettings)
    webhooks: Mapping[str, WebhookSettings] = field(default_factory=dict)
    approve: ApproveSettings = field(default_factory=ApproveSettings)
    convert: ConvertSettings = field(default_factory=ConvertSettings)
