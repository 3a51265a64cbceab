"""The settings as one frozen tree; `Settings()` alone is a working single node.

Rule 1: every key of gateway.yaml is a field here, with the same name and the default that applies without it.
Rule 2: a path is absolute once the file was read; `Settings()` alone is relative to the working directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Literal

from gateway.model.caller import Caller
from gateway.settings.credentials import Credential
from gateway.settings.sources import SourceSettings
from gateway.settings.stages import StageSettings
from gateway.settings.stores import StoreSettings
from gateway.settings.units import Bytes, Seconds
from gateway.settings.upstream import UpstreamSettings
from gateway.shipped_files import shipped

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the service listens, and how long it waits for a client.

    `public_endpoint` is the URL clients use, for links; None takes it from each request. `minimum_rate` is what a
    client must send at least, in bytes a second; `header_timeout` covers a request's head, `idle_timeout` a pause in
    its body, `shutdown_timeout` what a stop waits for open requests, after `drain_notice`
    in which balancers see that it is to stop. `metrics` says who may read `/metrics`.
    """

    host: str = "127.0.0.1"
    port: int = 9292
    public_endpoint: str | None = None
    header_timeout: Seconds = 10.0
    idle_timeout: Seconds = 30.0
    minimum_rate: Bytes = 4 << 10
    max_headers: int = 100
    max_header_size: Bytes = 32 << 10
    shutdown_timeout: Seconds = 20.0
    drain_notice: Seconds = 0.0
    metrics: Literal["off", "loopback", "any"] = "loopback"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect. A name other than `localhost` may resolve to anything."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSettings:
    """Where the records are: an SQLAlchemy URL; None is records.sqlite in the data folder.

    For PostgreSQL: `password_file` holds the password of a URL that has none; `pool_size` connections at the most
    read, and as many write.
    """

    url: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    pool_size: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLogSettings:
    """`path` None is decisions.jsonl in the data folder. `required`: no decision without its line in the log."""

    path: Path | None = None
    fsync: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """The policy tree and the CEL engine that evaluates it. `directory` None is the shipped private-cloud tree.

    `watch` is how often the folder is looked at, 0 for never; `expect_revision` the only tree that is taken. `shadow`
    is the folder of a tree that is asked too and decides nothing; `shadow_log` None is shadow.jsonl in the data folder.
    """

    directory: Path | None = None
    engine: Literal["cel-expr", "cel-python"] = "cel-expr"
    watch: Seconds = 2.0
    expect_revision: str | None = None
    shadow: Path | None = None
    shadow_log: Path | None = None
    decision_log: DecisionLogSettings = field(default_factory=DecisionLogSettings)


EVERYONE = Caller(
    project_id="default", project_name="default", user_id="everyone", user_name="everyone",
    roles=("admin", "member", "reader"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KeystoneSettings:
    """The cloud's Keystone, and the gateway's own user there; domains by name, `project` None for the whole system.

    `public_url` is what a 401 tells clients, None is `auth_url`. `cache_ttl` is how long a checked token counts, and
    so how long after its revocation it may; `timeout` is for one call of Keystone.
    """

    auth_url: str | None = None
    public_url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    user_domain: str = "Default"
    project: str | None = "service"
    project_domain: str = "Default"
    service_token_roles: tuple[str, ...] = ("service",)
    service_token_roles_required: bool = True
    cache_ttl: Seconds = 60.0
    timeout: Seconds = 10.0
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Who the callers are. With `none` everybody is `everyone`; with `basic` a user is a name in `htpasswd`
    (bcrypt hashes) that `users` gives a project and roles; with `keystone` callers send tokens of `keystone`.
    """

    type: Literal["none", "basic", "keystone"] = "none"
    everyone: Caller = EVERYONE
    htpasswd: Path | None = None
    users: Mapping[str, Caller] = field(default_factory=dict)
    keystone: KeystoneSettings = field(default_factory=KeystoneSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """What image records hold. `md5` fills `checksum`, which some clients still compare. `verify_downloads` compares
    what is read with the image's hash, and breaks off a download that would end with other bytes.

    `show_locations` shows owners where their images are, and lets them change it (`locations` in PATCH).
    """

    hash: Literal["sha512", "sha256"] = "sha512"
    md5: bool = True
    disk_formats: tuple[str, ...] = (
        "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt",
    )  # fmt: skip
    container_formats: tuple[str, ...] = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
    max_properties: int = 128
    max_tags: int = 128
    max_members: int = 128
    show_locations: bool = False
    verify_downloads: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """How imports run. Each gateway runs `concurrency` of them, all together `per_project` of one project; one that
    gives no sign of life for `lease` is thought dead, by the others on its database. `retries` come after a first
    try; `abandoned_after` frees records that stay queued,
    `staged_after` staged bytes nobody imports, `upload_expires` resumable uploads nobody goes on with; `upload_part`
    is what of those is acknowledged at a time; `progress_interval` is how often progress is recorded.
    """

    concurrency: int = 4
    per_project: int | None = None
    lease: Seconds = 15.0
    retries: int = 4
    abandoned_after: Seconds = 86400.0
    staged_after: Seconds = 86400.0
    upload_expires: Seconds = 86400.0
    upload_part: Bytes = 32 << 20
    reaper_interval: Seconds = 60.0
    progress_interval: Seconds = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """How sources are fetched. `allowed_networks` opens private ranges; a policy can only narrow `ports`.

    `minimum_rate` in bytes a second; `idle_timeout` is the longest silence of a source; `resumes` is how often a fetch
    goes on after its connection broke.
    """

    allowed_networks: tuple[Network, ...] = ()
    ports: tuple[int, ...] = (80, 443)
    dns_timeout: Seconds = 5.0
    connect_timeout: Seconds = 5.0
    idle_timeout: Seconds = 30.0
    total_timeout: Seconds = 21600.0
    minimum_rate: Bytes = 16 << 10
    resumes: int = 5
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadefSettings:
    """Metadata definitions: the keys that clients offer for images, volumes and flavors."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptSettings:
    """Keys of receipts. `key` None is receipt.key in the data folder; it is made where it is missing.

    `retired` are PEM files of public keys that signed before, and whose receipts are still good.
    """

    key: Path | None = None
    retired: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSettings:
    """Another cloud that glance-download may take images from: the URL of its image service. Callers' own tokens are
    sent there, so both clouds have to trust the same Keystone.
    """

    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole of gateway.yaml. `data` is the folder for everything that has no place of its own."""

    data: Path = Path("data")
    secret_key: Path | None = None
    server: ServerSettings = field(default_factory=ServerSettings)
    catalog: CatalogSettings = field(default_factory=CatalogSettings)
    backend: Literal["stores", "glance"] = "stores"
    upstream: UpstreamSettings = field(default_factory=UpstreamSettings)
    stores: tuple[StoreSettings, ...] = (StoreSettings(name="local", default=True),)
    policy: PolicySettings = field(default_factory=PolicySettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    imports: ImportSettings = field(default_factory=ImportSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)
    stages: StageSettings = field(default_factory=StageSettings)
    regions: Mapping[str, RegionSettings] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    metadefs: MetadefSettings = field(default_factory=MetadefSettings)
    receipts: ReceiptSettings = field(default_factory=ReceiptSettings)
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def catalog_url(self) -> str:
        return self.catalog.url or f"sqlite+aiosqlite:///{self.data.absolute() / 'records.sqlite'}"

    @property
    def decision_log_path(self) -> Path:
        return self.policy.decision_log.path or self.data / "decisions.jsonl"

    @property
    def shadow_log_path(self) -> Path:
        return self.policy.shadow_log or self.data / "shadow.jsonl"

    @property
    def policy_directory(self) -> Path:
        return self.policy.directory or shipped("policies") / "private-cloud"

    @property
    def secret_key_path(self) -> Path:
        """The key that seals what only the worker may read."""
        return self.secret_key or self.data / "secret.key"

    @property
    def is_shared(self) -> bool:
        """Whether other gateways may work on the same records."""
        return not self.catalog_url.startswith("sqlite")

    @property
    def receipt_key_path(self) -> Path:
        """The key that signs receipts."""
        return self.receipts.key or self.data / "receipt.key"

    @property
    def default_store(self) -> StoreSettings:
        """The store that says so, else the first that takes bytes."""
        takers = [store for store in self.stores if store.type != "http"]
        return next((store for store in takers if store.default), takers[0])

    @property
    def spool_path(self) -> Path:
        """Where tools work that need whole files."""
        return self.stages.convert.spool or self.data / "spool"

    def folder_of(self, store: StoreSettings) -> Path:
        """Where a filesystem store keeps its blobs."""
        return store.path or self.data / "blobs" / store.name
