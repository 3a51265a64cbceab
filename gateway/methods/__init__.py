"""Where image bytes come from: one file a method, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.methods.glance_direct import GlanceDirect
from gateway.methods.outbound import Outbound
from gateway.methods.rules import FetchRules
from gateway.methods.web_download import WebDownload
from gateway.ports import Method

METHODS: Mapping[str, Callable[[FetchRules], Method]] = {
    "glance-direct": lambda rules: GlanceDirect(),
    "web-download": lambda rules: WebDownload(Outbound(rules)),
}
"""Every import method of this build, by its API name. Each is made from the operator's rules for fetching."""
