"""The decision log: whole lines whatever happens, and no decision without one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.decisionlog import JsonLines
from gateway.model.errors import Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[JsonLines]:
    with JsonLines(path) as log:
        yield log


def entries(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_decision_is_one_line_that_reads_back(log: JsonLines, path: Path) -> None:
    entry = {"id": "1", "message": 'two\nlines "quoted" \u2028 é', "sizes": [1, None, True]}
    log.record(entry)
    assert path.read_bytes().count(b"\n") == 1
    assert entries(path) == [entry]


def test_only_the_owner_may_read_it(log: JsonLines, path: Path) -> None:
    before = os.umask(0)
    try:
        log.record({})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_of_many_threads_and_logs_never_mix(path: Path) -> None:
    with JsonLines(path, fsync=True) as one, JsonLines(path) as other:

        def write(number: int) -> None:
            for count in range(50):
                (one, other)[number % 2].record({"by": number, "count": count, "text": "x" * 5000})

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = entries(path)
    assert len(found) == 400
    assert [e["count"] for e in found if e["by"] == 3] == list(range(50))


def test_a_rotated_file_is_left_alone_and_a_new_one_begun(log: JsonLines, path: Path) -> None:
    log.record({"id": 1})
    rotated = path.rename(path.with_suffix(".1"))
    log.record({"id": 2})
    path.unlink()
    log.record({"id": 3})
    assert (entries(rotated), entries(path)) == ([{"id": 1}], [{"id": 3}])


@pytest.mark.parametrize("rest", [b'{"id": "torn', b""])
def test_a_torn_last_line_costs_one_record_and_not_two(path: Path, rest: bytes) -> None:
    path.write_bytes(b'{"id":"whole"}\n' + rest)
    with JsonLines(path) as log:
        log.record({"id": "next"})
        log.record({"id": "last"})
    lines = path.read_bytes().splitlines()
    assert lines[-2:] == [b'{"id":"next"}', b'{"id":"last"}']
    assert len(lines) == (4 if rest else 3)


def test_a_decision_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "missing" / "decisions.jsonl") as log:
        with pytest.raises(Unavailable) as caught:
            log.record({"id": 1})
        assert caught.value.code == "decision-log-unavailable"
        (tmp_path / "missing").mkdir()
        log.record({"id": 2})
    assert entries(tmp_path / "missing" / "decisions.jsonl") == [{"id": 2}]


def test_an_operator_may_choose_to_go_on_without_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with JsonLines(tmp_path / "missing" / "decisions.jsonl", required=False) as log:
        log.record({"id": 1})
    assert "cannot write the decision log" in caplog.text


FULL = """
import resource, signal, sys
from pathlib import Path
from gateway.decisionlog import JsonLines
from gateway.model.errors import Unavailable

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = JsonLines(Path(sys.argv[1]))
log.record({"id": "first"})
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (30, most))
for id in ("second-is-cut-in-the-middle", "third-finds-no-room"):
    try:
        log.record({"id": id})
    except Unavailable:
        print("refused", flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
log.record({"id": "fourth"})
"""


def test_a_full_disk_refuses_and_what_comes_after_it_is_whole(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused", "refused"], done.stderr
    lines = path.read_bytes().splitlines()
    assert (lines[0], lines[-1]) == (b'{"id":"first"}', b'{"id":"fourth"}')
    assert len(lines) == 3
