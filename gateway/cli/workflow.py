"""Lines that GitHub Actions shows beside the file they are about."""

from __future__ import annotations

_ESCAPES = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))


def workflow_command(level: str, file: str, line: int, column: int, title: str, text: str) -> str:
    """A workflow command; `level` is error, warning or notice. It has its own escapes for what would end a message."""
    for found, escape in _ESCAPES:
        text = text.replace(found, escape)
    return f"::{level} file={file},line={line},col={column},title={title}::{text}"
