"""`make demo`: the main job from beginning to end, as a user of the command line would do it.

It starts the real service on loopback with the shipped public-cloud policies and does what its four steps say.
Everything is in a folder of its own that is removed at the end; the exit code is 0 when every step went as it should.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from examples.boot_image import write, write_with_backing_file
from examples.demo_site import PASSWORD, Served, served, source

console = Console(highlight=False)
CLI = str(Path(sys.executable).with_name("import-gateway"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Show the main job of Import Gateway.")
    parser.add_argument("--image", type=Path, help="import this file instead of a made one")
    asked = parser.parse_args()
    if asked.image is not None and not asked.image.is_file():
        parser.error(f"there is no file {asked.image}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="import-gateway-demo-")))
        image = asked.image or write(folder / "boots.qcow2")
        origin = stack.enter_context(source(folder / "www", write(folder / "mirrored.qcow2", 16 << 20)))
        site = stack.enter_context(served(folder, origin))
        steps = Demo(site, folder)
        return steps.run(image, origin.url)


class Demo:
    """The four steps. A step that does not go as it should ends the demo with exit code 1."""

    def __init__(self, site: Served, folder: Path) -> None:
        self.site = site
        self.folder = folder

    def run(self, image: Path, url: str) -> int:
        self.discover()
        image_id = self.upload(image)
        self.download(url)
        self.refusals(url)
        self.compare(image_id, image)
        console.print("\n[bold green]Everything went as it should.[/] `make serve` leaves the service running.")
        return 0

    def discover(self) -> None:
        title("1. Three projects ask what they may import")
        for user in ("stranger", "silver", "gold"):
            self.cli(user, "methods")

    def upload(self, image: Path) -> str:
        title("2. gold uploads a bootable image, and has one fetched")
        self.cli("gold", "import", str(image), "--name", image.stem)
        return str(self.images("gold")[0]["id"])

    def download(self, url: str) -> None:
        self.cli("gold", "import", url, "--name", "mirrored")

    def refusals(self, url: str) -> None:
        title("3. Two refusals, each with its reason and its remedy")
        self.cli("stranger", "import", url, "--name", "not-granted", expect=1)
        # Sent past the client's own check, as a client that does not ask first would.
        self.site.try_import("stranger", url)
        self.rule_of_last_refusal()
        bad = write_with_backing_file(self.folder / "backed.qcow2")
        self.cli("silver", "import", str(bad), "--name", "backed", expect=1)
        self.rules_that_require("inspect")

    def compare(self, image_id: str, image: Path) -> None:
        title("4. The image comes back as it went in")
        same = self.site.sha512_of_download("gold", image_id) == self.site.sha512_of_file(image)
        console.print(f"   sha512 of the download and of {image.name}: {'equal' if same else '[red]DIFFERENT[/]'}")
        if not same:
            sys.exit(1)

    def cli(self, user: str, *words: str, expect: int = 0) -> None:
        shown = " ".join(Path(word).name if os.path.isabs(word) else word for word in words)
        console.print(f"\n[bold]$[/] import-gateway {shown} --user {user}", soft_wrap=True)
        command = [CLI, *words, "--url", self.site.url, "--user", user]
        done = subprocess.run(command, env={**os.environ, "IMPORT_GATEWAY_PASSWORD": PASSWORD}, check=False)
        if done.returncode != expect:
            console.print(f"[red]expected exit code {expect}, got {done.returncode}[/]")
            sys.exit(1)

    def images(self, user: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.site.get(user, "/v2/images").json()["images"]
        return found

    def decisions(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.site.decision_log.read_text().splitlines()]

    def rule_of_last_refusal(self) -> None:
        refused = [entry for entry in self.decisions() if entry["action"] == "deny"][-1]
        reason = refused["reasons"][0]  # type: ignore[index]
        rule = reason["rule"] or "(none allows it)"
        console.print(f"   the operator's decision log says: {reason['code']}, rule {rule}")

    def rules_that_require(self, stage: str) -> None:
        last = self.decisions()[-1]
        console.print(f"   stage {stage} ran because of these rules: {', '.join(required_by(last))}")


def required_by(entry: dict[str, object]) -> list[str]:
    """Rules that hold in a decision and demand stages; the demo's tree has two, by name."""
    outcomes = entry["outcomes"]
    assert isinstance(outcomes, dict)
    return [name for name, truth in outcomes.items() if truth == "yes" and name in ("platform/basics",)]


def title(text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


if __name__ == "__main__":
    sys.exit(main())
