"""Parts in memory, for the library, which wants them so: a bounded number of them, and only while they travel."""

from __future__ import annotations

import weakref
from mmap import MAP_SHARED, PROT_READ, mmap
from threading import Condition

from gateway.stores.objects.faults import broken
from gateway.stores.objects.parts import MOST_AT_ONCE, PLACE_WAITS, Part
from gateway.stores.place import Place

MOST_MAPPED = 3
"""Of one store, of all uploads together."""


class _Mapped(mmap):
    """Memory that goes back to the system at its end, which can be waited for."""


class Memory:
    """Of one store."""

    def __init__(self, place: Place, most: int = MOST_MAPPED) -> None:
        self._place = place
        self._most = most
        self._patience = PLACE_WAITS * place.patience
        self._alive = 0
        self._freed = Condition()

    def holding(self, part: Part, share: Share) -> memoryview:
        """The part's bytes, which are let go of with the view; the part is closed. Raises Unavailable.

        It waits until there is room for it, among all and in the upload's own `share`.
        """
        with part.file, self._freed:
            if not self._freed.wait_for(lambda: self._may(share), self._patience):
                raise broken(self._place, "it does not take what it is sent")
            mapped = _Mapped(part.file.fileno(), len(part), MAP_SHARED, PROT_READ)
            self._alive += 1
            share.alive += 1
        weakref.finalize(mapped, self._end, share).atexit = False
        return memoryview(mapped)

    def _may(self, share: Share) -> bool:
        return share.alive < MOST_AT_ONCE and self._alive < self._most

    def _end(self, share: Share) -> None:
        """Called by whichever thread lets go of a part last."""
        with self._freed:
            share.alive -= 1
            self._alive -= 1
            self._freed.notify_all()


class Share:
    """How many parts of one upload are in memory."""

    alive = 0
