"""The stores of a running site: what the settings say of each becomes a place, and the place an open store."""

from __future__ import annotations

from collections.abc import Callable

from gateway.methods.elsewhere import fetcher
from gateway.methods.rules import FetchRules
from gateway.ports import Store
from gateway.service.site import Seal
from gateway.settings import Settings, StoreSettings
from gateway.stores import STORES, Login, Place
from gateway.stores.guarded import Call, guarded


def open_stores(
    settings: Settings, rules: FetchRules, seal: Seal, told: Callable[[Call], None] = lambda call: None
) -> dict[str, Store]:
    """By name. Raises Refusal for a store that cannot be one: its folder, bucket or credentials are no good."""
    fetch = fetcher(rules)

    def unseal(key: str) -> str:
        return seal.open(key.encode())["uri"]

    def place(store: StoreSettings) -> Place:
        return Place(
            name=store.name,
            folder=settings.folder_of(store),
            unseal=unseal,
            fetch=fetch,
            bucket=store.bucket or store.container or "",
            prefix=store.prefix,
            endpoint=store.endpoint,
            region=store.region,
            virtual_host=store.addressing == "virtual",
            ca_file=store.ca_file,
            part_size=store.part_size,
            spool=settings.spool_path,
            segment_size=store.segment_size,
            interface=store.interface,
            patience=store.timeout,
            login=_login(settings, store.credentials),
        )

    return {
        store.name: guarded(STORES[store.type](place(store)), at_once=_at_once(store), told=told)
        for store in settings.stores
    }


def _at_once(store: StoreSettings) -> int | None:
    """Writing a file costs neither memory nor a connection."""
    return None if store.type in ("filesystem", "http") else store.at_once


def _login(settings: Settings, name: str | None) -> Login | None:
    if name is None:
        return None
    shown = settings.credentials[name]
    return Login(
        name=name,
        kind=shown.type,
        user=shown.user,
        secret=lambda: shown.secret,
        session_token=shown.session_token,
        rereads=shown.secret_file is not None,
        auth_url=shown.auth_url,
        project=shown.project,
        user_domain=shown.user_domain,
        project_domain=shown.project_domain,
    )
