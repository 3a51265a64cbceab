"""What Swift says, in our words. A store's own failure is Unavailable, whatever its status."""

from __future__ import annotations

from gateway.model.errors import Unavailable

FULL = frozenset({413, 507})
"""A quota of the account or the container, and a server without space."""

PASSING = frozenset({408, 429, 498})


class Misplaced(Unavailable):
    """What the operator has to put right: waiting will not help."""

    code = "store-broken"


def is_passing(status: int) -> bool:
    """Whether the same request may succeed in a moment."""
    return status in PASSING or (status >= 500 and status not in FULL)


def refused(store: str, container: str, status: int) -> Unavailable:
    """For a status that no caller of the store has an answer to."""
    if status in (401, 403):
        return misplaced(
            store,
            f"it refuses the gateway's credentials ({status})",
            f"Check them in `credentials`, and that their user may read and write the container {container}.",
        )
    if status == 404:
        return misplaced(
            store,
            f"there is no container {container}",
            f"Make it (openstack container create {container}), or name another one in the settings.",
        )
    if status in FULL:
        return full(store, status)
    return broken(store, f"it answered with {status}")


def broken(store: str, what: str, remedy: str = "Check the store, then try again.") -> Unavailable:
    return Unavailable(f"Store {store} failed: {what}", remedy=remedy, code="store-broken")


def misplaced(store: str, what: str, remedy: str) -> Misplaced:
    return Misplaced(f"Store {store} failed: {what}", remedy=remedy)


def full(store: str, status: int) -> Unavailable:
    why = "a quota of its account or container is used up" if status == 413 else "its servers have no space left"
    return Unavailable(
        f"Store {store} is full: {why} ({status})",
        remedy="Free space in it or raise its quota, then try again.",
        code="store-full",
    )


def truncated(store: str, missing: int) -> Unavailable:
    return _damaged(f"A blob in store {store} ends {missing} bytes early")


def incomplete(store: str) -> Unavailable:
    """What a manifest names is not there, or is not what it was."""
    return _damaged(f"A blob in store {store} has lost a segment")


def changed(store: str) -> Unavailable:
    return Unavailable(
        f"A blob in store {store} is not the one it was",
        remedy="Somebody writes to the container: verify the image.",
        code="blob-changed",
    )


def _damaged(message: str) -> Unavailable:
    return Unavailable(message, remedy="The blob is damaged: verify the image.", code="blob-truncated")
