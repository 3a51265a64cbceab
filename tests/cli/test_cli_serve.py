"""`import-gateway serve`: what it refuses, what it leaves behind, and how it stops."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gateway.cli.demo_settings import demonstration
from gateway.model.errors import Forbidden
from gateway.settings import Settings, overridden
from tests.cli.running import environment, process
from tests.serving.process import LONGEST

UNREACHABLE = "192.0.2.1"
"""An address for documentation (RFC 5737): no machine has it, so nothing can ever listen there."""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "images.example"])
def test_the_demo_stays_on_loopback(tmp_path: Path, host: str) -> None:
    settings = overridden(Settings(), host=host, port=None, data=tmp_path / "d")
    with pytest.raises(Forbidden, match="does not listen on"), demonstration(settings, keep=True):
        pytest.fail("a demo would run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [("--host", UNREACHABLE), ("--config", "gateway.yaml")])
def test_the_command_says_why_a_demo_stays_on_loopback(tmp_path: Path, options: tuple[str, str]) -> None:
    (tmp_path / "gateway.yaml").write_text(f"server: {{host: {UNREACHABLE}}}")
    done = process(tmp_path, "serve", "--demo", *options, "--data", "d")
    assert done.returncode == 1
    assert f"does not listen on {UNREACHABLE}" in done.stderr
    assert not (tmp_path / "d").exists()


def test_wrong_settings_are_shown_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("server:\n  prot: 1\nlog: {level: loud}\n")
    done = process(tmp_path, "serve", "--config", "gateway.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert "gateway.yaml:2:3: error[unknown-key]: 'prot' is not a key here" in done.stderr
    assert "gateway.yaml:3:14: error[unknown-value]" in done.stderr
    assert "Error: 2 problems in 1 file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    done = process(tmp_path, "serve", "--config", "gone.yaml")
    assert done.returncode == 1
    assert "gone.yaml cannot be read" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_ends_well_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "gateway", "serve", "--demo", "--port", "0"]
    env = environment(tmp_path, TMPDIR=str(tmp_path / "tmp"))
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        found = re.search(rb"http://\S+", running.stdout.readline())
        assert found
        url = found[0].decode()
        answers = {
            user: httpx.get(f"{url}/v2/images", auth=(user, "demo"), trust_env=False).status_code
            for user in ("stranger", "silver", "gold", "admin", "somebody")
        }
        kept = os.listdir(tmp_path / "tmp")
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    assert answers == {"stranger": 200, "silver": 200, "gold": 200, "admin": 200, "somebody": 401}
    assert len(kept) == 1
    assert running.returncode == 0, said.decode()
    assert os.listdir(tmp_path / "tmp") == []
    assert b"Traceback" not in said


HEAVY = {"httpx", "starlette", "sqlalchemy", "jsonschema", "alembic", "celpy", "cel_expr_python", "uvicorn"}


def test_help_imports_nothing_that_is_slow_to_import() -> None:
    code = "import gateway.cli.commands, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


UNUSED = {"typer", "rich", "pygments", "sqlite3", "sqlalchemy.orm", "gateway.tools.certificates"}
"""A command line's, another database's, nobody's, a site's that checks signatures."""
STARTING = """
import sys
from pathlib import Path
from gateway.cli.process import Options, serve
from gateway.model.errors import Refusal
try:
    serve(Options(config=Path("gateway.yaml")))
except Refusal:
    print(*sys.modules)
"""


def test_a_service_keeps_nothing_in_memory_that_it_has_no_use_for(tmp_path: Path) -> None:
    """As far as it gets without its policy, which is beyond all imports."""
    (tmp_path / "gateway.yaml").write_text("policy: {directory: gone}")
    done = subprocess.run(
        [sys.executable, "-c", STARTING], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=LONGEST
    )
    loaded = set(done.stdout.split())
    assert "gateway.app" in loaded, done.stderr
    assert UNUSED & loaded == set()


@pytest.mark.parametrize("command", ["", "serve", "methods", "import"])
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    done = process(tmp_path, *command.split(), "--help")
    assert done.returncode == 0
    assert "Usage: import-gateway" in done.stdout
