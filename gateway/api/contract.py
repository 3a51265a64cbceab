"""What an action takes and answers, said beside it. `/openapi.json` is made of this and of the route table.

Only what cannot be derived is said: each action that names a resource may answer 404, each one with a body 413 and
415, each one that asks who is calling 401.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

JSON = "application/json"
OCTETS = "application/octet-stream"
TEXT = "text/plain"

_A = TypeVar("_A", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One action on the wire.

    `answers` maps each good status to its body: the name of a schema, a media type, or None for no body. `takes` maps
    media types to schemas' names, or to None for bytes. `parameters` are names of `PARAMETERS` groups. `refuses` adds
    statuses of refusals to the derived ones. A `public` action asks nobody who they are.
    """

    answers: Mapping[int, str | None]
    takes: Mapping[str, str | None] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    refuses: frozenset[int] = frozenset()
    public: bool = False


def contract(
    answers: Mapping[int, str | None],
    *,
    takes: str | Mapping[str, str | None] | None = None,
    parameters: Iterable[str] = (),
    refuses: Iterable[int] = (),
    public: bool = False,
) -> Callable[[_A], _A]:
    """Mark an action with its contract. `takes` as a name is a JSON body of that schema."""
    body = {JSON: takes} if isinstance(takes, str) else takes or {}
    said = Contract(
        answers=answers, takes=body, parameters=tuple(parameters), refuses=frozenset(refuses), public=public
    )

    def mark(action: _A) -> _A:
        action.__dict__["contract"] = said
        return action

    return mark


def contract_of(action: Callable[..., Any]) -> Contract | None:
    """The contract of an action, bound or not; None where nothing was said."""
    found = getattr(action, "contract", None)
    return found if isinstance(found, Contract) else None
