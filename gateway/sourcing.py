"""The operator's rules for fetching, made of the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.methods.credentials import Credential
from gateway.methods.location import parse
from gateway.methods.rules import Deadlines, FetchRules
from gateway.methods.sources import Buckets, SourceRules, Tunnel
from gateway.policy.hosts import host_pattern
from gateway.settings import Settings
from gateway.settings.credentials import Credential as CredentialSettings
from gateway.settings.sources import SourceSettings


def fetch_rules(settings: Settings) -> FetchRules:
    """Raises BadRequest for an address in the settings that cannot be read."""
    fetch = settings.fetch
    host = settings.server.host
    own = () if host == "localhost" else ((ip_address(host), settings.server.port),)
    return FetchRules(
        allowed_networks=fetch.allowed_networks,
        ports=fetch.ports,
        own_addresses=own,
        deadlines=Deadlines(
            dns=fetch.dns_timeout,
            connect=fetch.connect_timeout,
            idle=fetch.idle_timeout,
            total=fetch.total_timeout,
            minimum_rate=fetch.minimum_rate,
        ),
        resumes=fetch.resumes,
        ca_file=fetch.ca_file,
        regions={name: parse(region.endpoint) for name, region in settings.regions.items()},
        sources=dict(_by_pattern(settings.sources)),
        buckets={name: _buckets(source) for name, source in settings.sources.items() if source.s3},
        credentials={name: _credential(one) for name, one in settings.credentials.items()},
    )


def _by_pattern(sources: Mapping[str, SourceSettings]) -> Iterator[tuple[str, SourceRules]]:
    for source in sources.values():
        rules = _rules(source)
        if source.s3:
            yield parse(source.s3.endpoint).host, rules
        yield from ((host_pattern(host), rules) for host in source.hosts)


def _rules(source: SourceSettings) -> SourceRules:
    return SourceRules(
        ca_file=source.ca_file,
        tunnel=_tunnel(source.proxy, source) if source.proxy else None,
        allowed_networks=source.allowed_networks,
        ports=source.ports,
        plain_http=source.plain_http,
    )


def _tunnel(url: str, source: SourceSettings) -> Tunnel:
    parts = urlsplit(url)
    return Tunnel(
        host=parts.hostname or "",
        port=parts.port or 3128,
        resolves=source.proxy_resolves,
        authorization=source.proxy_credentials or "",
    )


def _buckets(source: SourceSettings) -> Buckets:
    assert source.s3 is not None
    return Buckets(endpoint=parse(source.s3.endpoint), region=source.s3.region)


def _credential(one: CredentialSettings) -> Credential:
    return Credential(
        kind=one.type,
        hosts=tuple(host_pattern(host) for host in one.hosts),
        plain_http=one.plain_http,
        user=one.user,
        session_token=one.session_token,
        secret=lambda: one.secret,
    )
