"""Reads a subunit stream and writes one JSON line for each ended test: name, outcome, reason.

Runs under the Python that has tempest, with its input and output connected; imports nothing of this project.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import subunit  # type: ignore[import-not-found]
import testtools  # type: ignore[import-not-found]

OUTCOMES = {"success": "passed", "xfail": "passed", "skip": "skipped"}


def told(test: dict[str, Any]) -> None:
    """`exists` is a test that is only listed, `process-returncode` a worker's own end."""
    if not test["id"] or test["status"] in ("exists", "inprogress") or "process-returncode" in test["id"]:
        return
    outcome = OUTCOMES.get(test["status"], "failed")
    name = re.sub(r"\[[^]]*\]", "", test["id"])
    print(json.dumps({"name": name, "outcome": outcome, "reason": reason(test["details"])}), flush=True)


def reason(details: dict[str, Any]) -> str:
    """Why it was skipped, or the last lines of its traceback: what was raised, and its details."""
    for key in ("reason", "traceback"):
        if key in details:
            lines = [line for line in details[key].as_text().splitlines() if line.strip()]
            return " ".join(line.strip() for line in lines[-2:])
    return ""


def main() -> None:
    result = testtools.StreamToDict(told)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer).run(result)
    result.stopTestRun()


if __name__ == "__main__":
    main()
