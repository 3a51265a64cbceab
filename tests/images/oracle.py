"""qemu-img in a sandbox, watched: what it makes of many images, and every file it asks for meanwhile.

It sees its own libraries, read-only, and the images; no network, no other process, no /etc. A file that is not there
for it is asked for all the same, and strace sees that.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.images.sound import SOUND
from tests.stages.qemu import driver

NEEDED = {"qemu-img": "qemu-utils", "bwrap": "bubblewrap", "strace": "strace"}
LIMITS = "ulimit -v 2097152; ulimit -t 30"
SCRIPT = f"""{LIMITS}
while read name driver; do
    qemu-img info --output=json -f $driver /images/$name >/said/$name.named 2>/dev/null
    qemu-img info --output=json --backing-chain /images/$name >/said/$name.probed 2>/dev/null
done </images/list
exit 0
"""
OF_THE_SYSTEM = ("/lib/", "/usr/lib/", "/sys/devices/system/", "/proc/", "/said/")
_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(slots=True)
class Said:
    """What it said when it was told the format, and when it was not; None where it refused. `files`: all it asked for.

    The probed answer is the image's own; `chain` counts the images behind it.
    """

    named: dict[str, Any] | None = None
    probed: dict[str, Any] | None = None
    chain: int = 0
    files: set[str] = field(default_factory=set)

    @property
    def other_files(self) -> set[str]:
        return {path for path in self.files - usual() if not path.startswith(OF_THE_SYSTEM)}


def missing() -> str:
    """What is not installed, to be read by whoever could install it; empty where all is there."""
    packages = [package for tool, package in NEEDED.items() if shutil.which(tool) is None]
    if packages:
        return f"apt-get install {' '.join(packages)}"
    tried = subprocess.run([*sandbox(), "strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "this machine lets nobody make sandboxes or trace in them"


def sandbox(*more: str) -> list[str]:
    system = [word for path in ("/usr", "/lib", "/lib64", "/bin") for word in ("--ro-bind-try", path, path)]
    return ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", *system, "--dev", "/dev", *more]


def ask(folder: Path, images: Mapping[str, tuple[bytes, str]]) -> dict[str, Said]:
    """`images`: name (a plain word) -> bytes, and the disk format they are to be opened as."""
    inside, said = folder / "images", folder / "said"
    for made in (inside, said):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
    for name, (data, _) in images.items():
        (inside / name).write_bytes(data)
    (inside / "list").write_text("".join(f"{name} {driver(kind)}\n" for name, (_, kind) in images.items()))
    places = ("--ro-bind", str(inside), "/images", "--bind", str(said), "/said", "--chdir", "/images")
    words = ["strace", "-f", "--seccomp-bpf", "-e", "trace=%file,connect", "-o", "/said/trace", "sh", "-c", SCRIPT]
    subprocess.run([*sandbox(*places), *words], check=True, timeout=60 + len(images))
    files = traced((said / "trace").read_text(errors="replace").splitlines())
    return {name: _answer(said, name, files[name]) for name in images}


def _answer(said: Path, name: str, files: set[str]) -> Said:
    chain = _json(said / f"{name}.probed") or []
    return Said(_json(said / f"{name}.named"), chain[0] if chain else None, max(len(chain) - 1, 0), files)


def _json(path: Path) -> Any:
    text = path.read_bytes().decode(errors="replace")
    return json.loads(text) if text.strip() else None


def traced(lines: list[str]) -> dict[str, set[str]]:
    """Which paths each image's processes asked for, the image itself left out."""
    image_of: dict[str, str] = {}
    files: dict[str, set[str]] = defaultdict(set)
    for process, call, words in _calls(lines):
        if call == "execve" and '"qemu-img", "info"' in words:
            image_of[process] = Path(_PATH.findall(words)[-1]).name
        elif process in image_of:
            own = f"/images/{image_of[process]}"
            files[image_of[process]] |= {path for path in _PATH.findall(words)[:1] if path and path != own}
    return files


def _calls(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Threads have numbers of their own, but their calls follow those of the process that began last."""
    last = ""
    for line in lines:
        if found := _LINE.match(line):
            last = found[1] if found[2] == "execve" else last
            yield last, found[2], found[3]


@cache
def usual() -> frozenset[str]:
    """What it asks for whatever the image is."""
    with TemporaryDirectory() as folder:
        sound = {f"s{at}": (data, kind) for at, (data, kind, _) in enumerate(SOUND.values()) if kind in DRIVEN}
        return frozenset(path for said in ask(Path(folder), sound).values() for path in said.files)


DRIVEN = frozenset({"raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "ploop", "luks", "iso"})
