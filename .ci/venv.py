"""Make a virtual environment and install this project into it: `venv.py DIR REQUIREMENT`.

Uses uv where it is present (seconds instead of half a minute), else the standard library's venv and pip.
Runs on a bare python3, so it imports nothing but the standard library.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def run(*command: str) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(f"set-up failed: {' '.join(command)} (exit {done.returncode})")


def main(folder: str, requirement: str) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - said kindly, before pip says it unkindly
        sys.exit(f"Import Gateway needs Python 3.11 or newer; this is {sys.version.split()[0]}. Set PYTHON=python3.12.")
    venv, uv = Path(folder), shutil.which("uv")
    python = str(venv / "bin" / "python")
    if not Path(python).exists():
        print(f"Setting up {folder} (once)...", flush=True)
        if uv:
            run(uv, "venv", "--quiet", "--python", sys.executable, folder)
        else:
            try:
                import ensurepip  # noqa: F401
            except ImportError:
                sys.exit("Python's venv module is missing: install it with 'apt install python3-venv', then try again.")
            run(sys.executable, "-m", "venv", folder)
    if uv:
        run(uv, "pip", "install", "--quiet", "--python", python, "-e", requirement)
    else:
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", requirement)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
