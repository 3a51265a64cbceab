"""Where the files that come with the program are: in a checkout beside the package, in a wheel inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["schemas", "policies"]

_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: Kind) -> Path:
    """The folder of shipped `schemas` or `policies`. Raises FileNotFoundError where the installation lacks it.

    The checkout wins: someone who edits a shipped file there means that file.
    """
    for root in (_PACKAGE.parent, _PACKAGE / "shipped"):
        if (root / "pyproject.toml").is_file() or root.name == "shipped":
            folder = root / kind
            if folder.is_dir():
                return folder
    raise FileNotFoundError(f"the {kind} folder of this installation is missing; install import-gateway again")
