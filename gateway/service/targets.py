"""Which stores an import goes to. Refusals and their order are those of the Images API ("Import an image")."""

from __future__ import annotations

from gateway.model.errors import BadRequest, Conflict
from gateway.model.image import Image
from gateway.ports.upstream import Upstream
from gateway.service.site import Site

UNNAMED = "default"
"""What policies call the one store of an image service that does not name it."""


def choose_stores(
    site: Site, image: Image, *, named: tuple[str, ...], header: str | None, every: bool, copies: bool
) -> tuple[str, ...]:
    """The stores to fill, in the order they are filled; empty for a copy that is everywhere already.

    `named` are the request's own, `header` is X-Image-Meta-Store, `every` asks for all that take bytes. Raises
    BadRequest where they exclude each other or a copy is there already, Conflict for a store that cannot be used.
    """
    check_exclusive(named, header, every)
    asked = named or ((header,) if header is not None else (site.default_store,))
    if not every:
        check_usable(site, asked)
    if copies:
        return _missing(site, image, asked, every)
    return site.taking_stores if every else asked


async def choose_behind(
    site: Site, *, named: tuple[str, ...] = (), header: str | None = None, every: bool = False
) -> tuple[str, ...]:
    """The same in front of an image service that has stores of its own. Raises Unavailable where it is away."""
    check_exclusive(named, header, every)
    known = await behind_of(site).stores()
    asked = named or ((header,) if header is not None else known if every else known[:1])
    for name in asked:
        if name not in known:
            raise Conflict(
                f"Store for identifier {name} not found",
                remedy=f"Stores here: {', '.join(known) or 'one, without a name'}.",
                code="unknown-store",
            )
    return asked or (UNNAMED,)


async def landing(site: Site, store: str | None) -> tuple[str, tuple[str, ...]]:
    """For bytes that come with a request: the store they are written to here, and those the image shall be in."""
    if site.upstream is None:
        name = store or site.default_store
        return name, (name,)
    return site.default_store, await choose_behind(site, header=store)


async def upload_stores(site: Site, kept_in: str) -> tuple[str, ...]:
    """The stores that rules are asked about where bytes are kept in a store here and their import names none yet."""
    return (kept_in,) if site.upstream is None else await choose_behind(site)


def behind_of(site: Site) -> Upstream:
    """The image service behind this site, where there is one."""
    assert site.upstream is not None
    return site.upstream


def check_exclusive(named: tuple[str, ...], header: str | None, every: bool) -> None:
    """Raises BadRequest where a request says in two ways where its image shall go."""
    if sum((bool(named), every, header is not None)) > 1:
        raise BadRequest(
            "'stores', 'all_stores' and the header X-Image-Meta-Store exclude each other.",
            remedy="Send one of them.",
            code="bad-import-request",
        )


def check_usable(site: Site, asked: tuple[str, ...]) -> None:
    """Raises Conflict for a store nobody knows, or that takes no bytes."""
    for name in asked:
        if name not in site.stores:
            raise Conflict(
                f"Store for identifier {name} not found",
                remedy=f"Stores here: {', '.join(site.taking_stores)}.",
                code="unknown-store",
            )
        if site.stores[name].read_only:
            raise Conflict(
                f"Store {name} is read-only; nothing can be imported into it.",
                remedy=f"Name one of: {', '.join(site.taking_stores)}.",
                code="read-only-store",
            )


def _missing(site: Site, image: Image, asked: tuple[str, ...], every: bool) -> tuple[str, ...]:
    """Where there is no copy yet. Asking for one that is there is a mistake; asking for all is not."""
    there = [name for name in asked if name in image.stores]
    if there and not every:
        raise BadRequest(
            f"Image is already present at store '{there[0]}'",
            remedy="Leave it out; the image's 'stores' lists where it is.",
            code="copy-exists",
        )
    return tuple(name for name in (site.taking_stores if every else asked) if name not in image.stores)
