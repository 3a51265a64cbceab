"""Images made byte by byte: sound ones, and hostile ones that differ in one thing."""

from __future__ import annotations
