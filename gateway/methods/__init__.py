"""Where image bytes come from: one file a method, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.methods.copy_image import CopyImage
from gateway.methods.glance_direct import GlanceDirect
from gateway.methods.glance_download import GlanceDownload
from gateway.methods.oci_download import OciDownload
from gateway.methods.outbound import Outbound
from gateway.methods.rules import FetchRules
from gateway.methods.s3_download import S3Download
from gateway.methods.web_download import WebDownload
from gateway.ports import Method

METHODS: Mapping[str, Callable[[FetchRules], Method]] = {
    "copy-image": lambda rules: CopyImage(),
    "glance-direct": lambda rules: GlanceDirect(),
    "glance-download": GlanceDownload,
    "oci-download": OciDownload,
    "s3-download": S3Download,
    "web-download": lambda rules: WebDownload(Outbound(rules), rules.credentials),
}
"""Every import method of this build, by its API name. Each is made from the operator's rules for fetching."""


def offered(rules: FetchRules, *, stores: int = 2) -> dict[str, Method]:
    """The methods a site can carry out, by name. Without a region there is no cloud to download from, without a source
    that speaks S3 no bucket, and with one store nowhere to copy to.
    """
    cannot = {"glance-download": not rules.regions, "s3-download": not rules.buckets, "copy-image": stores < 2}
    return {name: make(rules) for name, make in METHODS.items() if not cannot.get(name)}
