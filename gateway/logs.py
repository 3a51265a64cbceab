"""The service's own log: one line an event on standard error, for people or for machines."""

from __future__ import annotations

import json
import logging
from typing import Literal

# These speak of every hostile image or URL as if it were news; what matters of it is in our own words.
QUIET = ("oslo_utils.imageutils.format_inspector", "httpcore", "httpx")


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "logger", "message"}`, and `trace` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging(level: str, style: Literal["text", "json"]) -> None:
    """Our own loggers at `level`, libraries' from warnings on."""
    formatter = JsonFormatter() if style == "json" else logging.Formatter(_TEXT)
    stream = logging.StreamHandler()
    stream.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[stream])
    logging.getLogger("gateway").setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
