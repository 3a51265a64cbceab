"""Counts the gateway's own frames and files that one stage call walks; run as a program by test_walk.

The profiler sees every Python call in every thread, the loop's and the delivery's. Depth counts own frames only,
whatever the server's and the libraries' in between. The walk ends at the door of a pure function: what a stage or
`decide` does with its values is read there, not followed from here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from types import FrameType

import httpx

import gateway
from gateway.app import identity, running, starlette_app
from gateway.settings import Settings
from tests.images.sound import qcow2

ROOT = str(Path(gateway.__file__).parent)


DOORS = ("/policy/", "/stages/decompress.py", "/stages/inspect.py", "/stages/checksum.py", "/stages/verdicts.py")


BESIDE = (
    "/jobs/queue.py",
    "/service/elsewhere.py",
    "/service/reaper.py",
    "/service/stopping.py",
    "/service/reloading.py",
)
"""What runs on its own and may do so during the call."""


class Walk:
    """The deepest own stack, and every own file and call seen."""

    def __init__(self) -> None:
        self.on = False
        self.deepest: list[str] = []
        self.files: set[str] = set()
        self.calls = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if not self.on or event != "call" or not frame.f_code.co_filename.startswith(ROOT):
            return
        self.calls += 1
        stack = own_stack(frame)
        if not stack or stack[0].startswith(BESIDE) or any(step.startswith(DOORS) for step in stack[:-1]):
            return
        self.files.add(stack[-1].partition(":")[0])
        if len(stack) > len(self.deepest):
            self.deepest = stack


def own_stack(frame: FrameType | None) -> list[str]:
    """The gateway's frames, outermost first, as `/file.py:function`. Comprehensions have none from Python 3.12 on."""
    stack = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(ROOT) and not frame.f_code.co_name.endswith("comp>"):
            stack.append(f"{frame.f_code.co_filename.removeprefix(ROOT)}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    return stack[::-1]


async def measured(folder: Path) -> Walk:
    settings = replace(Settings(), data=folder)
    walk = Walk()
    # Set before any thread starts: the worker threads are made once and kept.
    threading.setprofile(walk)
    sys.setprofile(walk)
    async with running(settings) as site:
        transport = httpx.ASGITransport(starlette_app(settings, site, identity(settings)))
        async with httpx.AsyncClient(transport=transport, base_url="http://walk") as client:
            record = {"disk_format": "qcow2", "container_format": "bare"}
            image = (await client.post("/v2/images", json=record)).raise_for_status().json()
            headers = {"Content-Type": "application/octet-stream"}
            walk.on = True
            answer = await client.put(f"/v2/images/{image['id']}/stage", content=qcow2(), headers=headers)
            walk.on = False
            answer.raise_for_status()
    return walk


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        walk = asyncio.run(measured(Path(folder)))
    found = {"depth": len(walk.deepest), "deepest": walk.deepest, "files": sorted(walk.files), "calls": walk.calls}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
