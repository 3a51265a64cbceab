"""Faults, from outside: the real service, killed, starved and lied to, and an auditor that looks at what is left."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.faults.scenes", "tests.faults.disks", "tests.faults.processes")
