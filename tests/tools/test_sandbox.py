"""What a program in the sandbox can do: read what it was given, write where it may, and end in time."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from threading import Event, Thread

import pytest

from gateway.model.errors import ContentRefused, Interrupted, Unavailable
from gateway.tools.sandbox import Bounds, Sandbox
from tests.serving.process import LONGEST
from tests.tools.sandboxed import needs_sandbox, script

pytestmark = needs_sandbox

SHELL = "/bin/sh"


def shell(text: str, folder: Path | None = None, **bounds: int | float) -> str:
    """What a shell in the sandbox prints; builtins are all it has."""
    ended = Sandbox().run(SHELL, ["-c", text], writes=folder, bounds=Bounds(**bounds))  # type: ignore[arg-type]
    return f"{ended.code} {ended.output}{ended.errors}".strip()


def test_there_is_nothing_but_what_it_was_given(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("words\n")
    words = ["-c", "read line < /in/image; echo $line; echo /* /in/* /dev/*"]
    ended = Sandbox().run(SHELL, words, reads={"/in/image": given})
    first, second = ended.output.splitlines()
    assert first == "words"
    assert set(second.split()) <= {"/dev", "/dev/null", "/in", "/in/image", "/lib", "/lib64", "/tool", "/usr"}


@pytest.mark.parametrize("name", ["/etc/passwd", "/etc/hostname", "/proc/self/environ", "/usr/lib/os-release", "/sys"])
def test_no_other_file_is_there(name: str) -> None:
    assert Path(name).exists()
    assert shell(f"[ -e {name} ] && echo there || echo nothing") == "0 nothing"


def test_what_it_reads_it_cannot_write(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("words\n")
    Sandbox().run(SHELL, ["-c", "echo changed > /in/image"], reads={"/in/image": given})
    assert given.read_text() == "words\n"


def test_it_writes_in_its_folder_up_to_its_bound(tmp_path: Path) -> None:
    assert shell("echo 12345678 > /out/file", tmp_path, file=9) == "0"
    assert (tmp_path / "file").read_text() == "12345678\n"
    ended = Sandbox().run(SHELL, ["-c", "echo 12345678 > /out/file"], writes=tmp_path, bounds=Bounds(file=4))
    assert ended.outgrown
    assert (tmp_path / "file").stat().st_size == 4


def test_the_environment_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "word")
    assert shell("echo [$SECRET]") == "0 []"


def test_work_beyond_its_bound_is_the_images_fault() -> None:
    with pytest.raises(ContentRefused) as refusal:
        shell("while :; do :; done", cpu=1, wall=20)
    assert refusal.value.code == "too-costly"


def test_memory_beyond_its_bound_is_not_had() -> None:
    words = ["if=/dev/null", "bs=200M", "count=1"]
    assert Sandbox().run("dd", words, bounds=Bounds(memory=512 << 20)).code == 0
    assert "memory exhausted" in Sandbox().run("dd", words, bounds=Bounds(memory=128 << 20)).errors


def test_who_dies_of_the_bytes_refuses_them() -> None:
    with pytest.raises(ContentRefused) as refusal:
        shell("kill -SEGV $$; kill -ABRT $$")
    assert refusal.value.code == "unreadable"


def gone(pid: int) -> bool:
    """Its files are closed, which is what the run waits for, a moment before it is no more."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], LONGEST)[0])
    finally:
        os.close(watched)


def test_at_its_deadline_it_is_killed_with_all_its_children(tmp_path: Path) -> None:
    hung = script(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 600 & echo $! >> {tmp_path}/pid; sleep 601")
    begun: list[str] = []
    for wall in (0.5, 5, 50):  # until it has begun in time
        with pytest.raises(Unavailable) as refusal:
            Sandbox(hung).run(SHELL, [], bounds=Bounds(wall=wall, file=100))
        assert refusal.value.code == "stage-unavailable"
        if len(begun := (tmp_path / "pid").read_text().split() if (tmp_path / "pid").exists() else []) == 2:
            break
    assert [gone(int(pid)) for pid in begun] == [True, True]


def test_inside_the_walls_the_deadline_holds_as_well() -> None:
    start = time.monotonic()
    with pytest.raises(Unavailable) as refusal:
        Sandbox().run("sleep", ["600"], bounds=Bounds(wall=0.5))
    assert "0.5 seconds" in refusal.value.message
    assert time.monotonic() - start < LONGEST


def test_endless_talk_is_cut_off() -> None:
    with pytest.raises(Unavailable) as refusal:
        Sandbox().run("yes", [], bounds=Bounds(said=1 << 16, wall=LONGEST))
    assert refusal.value.code == "stage-unavailable"
    assert "prints more" in refusal.value.message


def test_words_that_are_no_text_are_replaced() -> None:
    assert shell(r"printf '\377\376ok'") == "0 \ufffd\ufffdok"


def test_whoever_watches_can_stop_it() -> None:
    def stop(piece: bytes) -> None:
        raise Interrupted("The gateway is stopping.")

    start = time.monotonic()
    with pytest.raises(Interrupted):
        Sandbox().run("sleep", ["600"], watch=stop)
    assert time.monotonic() - start < LONGEST


def test_no_more_run_at_once_than_may() -> None:
    """Two at a time of six, counted by those who watch."""
    sandbox, running, most = Sandbox(at_once=2), set[int](), [0]

    def one(number: int) -> None:
        def watch(piece: bytes) -> None:
            if b"here" in piece:
                running.add(number)
                most[0] = max(most[0], len(running))
            if b"gone" in piece:  # while it still has its place: who is next comes later
                running.discard(number)

        words = "echo here; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo gone"
        sandbox.run(SHELL, ["-c", words], watch=watch)

    threads = [Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


def test_who_waits_for_a_place_can_be_stopped() -> None:
    sandbox, started, release = Sandbox(at_once=1), Event(), Event()

    def hold(piece: bytes) -> None:
        started.set()
        if release.is_set():
            raise Interrupted("enough")

    def first() -> None:
        with pytest.raises(Interrupted):
            sandbox.run("sleep", ["600"], watch=hold)

    def stop(piece: bytes) -> None:
        raise Interrupted("The gateway is stopping.")

    thread = Thread(target=first)
    thread.start()
    assert started.wait(LONGEST)
    with pytest.raises(Interrupted):
        sandbox.run("true", [], watch=stop)
    release.set()
    thread.join()


def test_a_machine_without_bubblewrap_says_so() -> None:
    with pytest.raises(Unavailable) as refusal:
        Sandbox("no-such-bwrap").run("true", [])
    assert "no-such-bwrap is not installed" in refusal.value.message


def test_a_machine_without_namespaces_says_so(tmp_path: Path) -> None:
    denied = script(tmp_path, "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    with pytest.raises(Unavailable) as refusal:
        Sandbox(denied).run("true", [])
    assert "No permissions to create new namespace" in refusal.value.message
