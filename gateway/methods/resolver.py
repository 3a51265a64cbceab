"""Names to addresses, within a deadline. The system's resolver has none of its own that could be relied upon."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Sequence

Resolve = Callable[[str, float], Sequence[str]]
"""(host, seconds) -> addresses as text. Raises OSError for a name without any, TimeoutError after the deadline."""


def system_resolve(host: str, deadline: float) -> Sequence[str]:
    """Ask the system. A lookup cannot be cancelled, so it is left behind in a daemon thread when it takes too long."""
    answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()
    threading.Thread(target=_look_up, args=(host, answers), name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline)
    except queue.Empty:
        raise TimeoutError(f"no answer for {host} within {deadline:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _look_up(host: str, answers: queue.SimpleQueue[Sequence[str] | OSError]) -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        answers.put([str(sockaddr[0]) for *_, sockaddr in found])
    except OSError as error:
        answers.put(error)
    except UnicodeError as error:  # a label the resolver's own codec refuses
        answers.put(OSError(str(error)))
