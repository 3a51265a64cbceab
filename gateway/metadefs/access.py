"""Who may: Glance's default rules. Admins write; whoever reads in a project sees public namespaces and its own."""

from __future__ import annotations

from gateway.metadefs.records import Namespace
from gateway.metadefs.shelf import Shelf
from gateway.model.caller import Caller
from gateway.model.errors import Forbidden, NotFound

_READING = frozenset({"admin", "member", "reader"})


def check_reads(caller: Caller) -> None:
    """Raises Forbidden."""
    if _READING.isdisjoint(caller.roles):
        raise Forbidden(
            "You are not permitted to list metadata definitions.", remedy="Ask for the role 'reader' in this project."
        )


def check_writes(caller: Caller) -> None:
    """Raises Forbidden."""
    if not caller.is_admin:
        raise Forbidden(
            "You are not permitted to change metadata definitions.", remedy="Ask an administrator to do it."
        )


async def visible(shelf: Shelf, caller: Caller, name: str) -> Namespace:
    """Raises NotFound: a namespace the caller may not see does not exist for it."""
    namespace = await shelf.namespace(name)
    if namespace is None or not _sees(caller, namespace):
        raise NotFound(f"No namespace found with name {name}.", remedy="GET /v2/metadefs/namespaces lists yours.")
    return namespace


async def writable(shelf: Shelf, caller: Caller, name: str) -> Namespace:
    """Raises NotFound, or Forbidden where the caller sees the namespace but may not change it."""
    namespace = await visible(shelf, caller, name)
    check_writes(caller)
    return namespace


async def removable(shelf: Shelf, caller: Caller, name: str) -> Namespace:
    """As `writable`, for taking something away. Raises Forbidden for a protected namespace too."""
    namespace = await writable(shelf, caller, name)
    if namespace.protected:
        raise Forbidden(
            f"Namespace {name} is protected: neither it nor what it defines can be deleted.",
            remedy="Set its 'protected' to false first.",
            code="protected",
        )
    return namespace


def _sees(caller: Caller, namespace: Namespace) -> bool:
    if caller.is_admin:
        return True
    own = namespace.owner == caller.project_id
    return not _READING.isdisjoint(caller.roles) and (own or namespace.visibility == "public")
