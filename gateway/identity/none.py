"""Everybody is the same caller: for a machine of one's own."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model.caller import Caller


class Everyone:
    """`gateway.ports.Identity` that reads nothing and refuses nobody."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def identify(self, headers: Mapping[str, str], *, method: str, path: str) -> Caller:
        return self._caller

    def challenge(self) -> str:
        return 'None realm="everyone"'

    async def aclose(self) -> None:
        """Nothing is open."""
