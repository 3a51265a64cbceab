"""What a user wants imported: a file of this machine, or a URL the service fetches by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import typer

from gateway.cli.formats import format_of_file, format_of_name
from gateway.model.errors import BadRequest, BrokenUpload
from gateway.policy.facts import FactValue
from gateway.ports import BLOCK_SIZE

_DEFAULT_PORTS = {"http": 80, "https": 443}


class ImageSource(Protocol):
    """`name` is what the record is called, `method` the usual import method."""

    name: str
    method: str

    def disk_format(self) -> str:
        """The probable format. Raises typer.BadParameter where it cannot be told."""
        ...

    def facts(self) -> Mapping[str, FactValue]:
        """The `request.` facts known about the source itself."""
        ...

    def request(self, method: str) -> Mapping[str, str]:
        """The `method` object of the import request. Raises typer.BadParameter for a method it does not fit."""
        ...


_KEPT_ELSEWHERE = {"s3": "s3-download", "oci": "oci-download"}


def source_of(text: str, options: Mapping[str, str] | None = None) -> LocalFile | RemoteImage | KeptImage:
    """`options` are further keys of the `method` object. Raises typer.BadParameter for what is neither a readable file
    nor a URL that some method knows.
    """
    if "://" in text:
        kept = text.partition("://")[0].lower() in _KEPT_ELSEWHERE
        return KeptImage(text, options or {}) if kept else RemoteImage(text, options or {})
    if options:
        raise typer.BadParameter("a file of this machine has no options", param_hint="--credential, --method-option")
    path = Path(text)
    if not path.is_file():
        raise typer.BadParameter(f"{text} is no file" if path.exists() else f"there is no file {text}")
    return LocalFile(path)


class LocalFile:
    method = "glance-direct"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.size = path.stat().st_size

    def disk_format(self) -> str:
        return format_of_file(self.path)

    def facts(self) -> Mapping[str, FactValue]:
        return {"request.size": self.size}

    def request(self, method: str) -> Mapping[str, str]:
        if method != self.method:
            raise typer.BadParameter(f"a file is brought by {self.method}; {method} needs a URL", param_hint="--method")
        return {"name": method}


class RemoteImage:
    method = "web-download"

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.url = url
        self._options = options
        self._parts = _split(url)
        self.name = PurePosixPath(self._parts.path).name or self._parts.hostname or url

    def disk_format(self) -> str:
        found = format_of_name(self._parts.path)
        if found is None:
            raise typer.BadParameter("the URL does not tell the disk format: say --disk-format qcow2 (or raw, iso...)")
        return found

    def facts(self) -> Mapping[str, FactValue]:
        scheme = self._parts.scheme
        return {
            "request.scheme": scheme,
            "request.host": (self._parts.hostname or "").rstrip("."),
            "request.port": self._parts.port or _DEFAULT_PORTS[scheme],
            "request.credential": self._options.get("credential", ""),
        }

    def request(self, method: str) -> Mapping[str, str]:
        return {"name": method, "uri": self.url, **self._options}


class KeptImage:
    """An object of a bucket (`s3://BUCKET/KEY`), or an artifact of a registry (`oci://REGISTRY/REPOSITORY:TAG`)."""

    def __init__(self, uri: str, options: Mapping[str, str]) -> None:
        scheme, _, path = uri.partition("://")
        self.url = uri
        self.method = _KEPT_ELSEWHERE[scheme.lower()]
        self.name = options.get("title") or PurePosixPath(path.partition("@")[0]).name or uri
        self._options = options

    def disk_format(self) -> str:
        found = format_of_name(self.name)
        if found is None:
            raise typer.BadParameter(f"{self.url} does not tell the disk format: say --disk-format qcow2 (or raw...)")
        return found

    def facts(self) -> Mapping[str, FactValue]:
        return {"request.credential": self._options.get("credential", "")}

    def request(self, method: str) -> Mapping[str, str]:
        if method != self.method:
            raise typer.BadParameter(f"{self.url} is brought by {self.method}", param_hint="--method")
        return {"name": method, "uri": self.url, **self._options}


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError as error:
        raise typer.BadParameter(f"{url}: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise typer.BadParameter(f"{url} is no http or https URL")
    return parts


class HashedBlocks:
    """A file's bytes in blocks of 1 MiB, hashed as they are read. Reading again starts again: a login may be renewed.

    `sent` is told how many bytes have been handed over so far.
    """

    def __init__(self, source: LocalFile, algorithm: str, sent: Callable[[int], None]) -> None:
        self.source = source
        self._sent = sent
        self.algorithm = algorithm
        self.digest = ""

    def __iter__(self) -> Iterator[bytes]:
        hashed, left = hashlib.new(self.algorithm), self.source.size
        with self.source.path.open("rb", buffering=0) as file:
            while left and (block := file.read(min(BLOCK_SIZE, left))):
                hashed.update(block)
                yield block
                left -= len(block)
                self._sent(self.source.size - left)
        if left:
            raise BrokenUpload(f"{self.source.path} became shorter while it was sent.", remedy="Send it again.")
        self.digest = hashed.hexdigest()


def digest_of(source: LocalFile, algorithm: str) -> str:
    """The file's digest in an algorithm only the service's answer named. Raises BadRequest for an unknown one."""
    try:
        with source.path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except ValueError:
        raise BadRequest(f"The service hashed with {algorithm!r}, which this machine does not know.") from None
