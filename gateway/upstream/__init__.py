"""In front of an existing image service: its records, its bytes, and the passage of every call that is not ours."""

from gateway.upstream.carrier import Carrier, Coming
from gateway.upstream.connection import Answer, Connection, Place
from gateway.upstream.glance import Glance

__all__ = ["Answer", "Carrier", "Coming", "Connection", "Glance", "Place"]
