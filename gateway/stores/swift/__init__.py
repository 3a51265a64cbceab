"""Blobs as objects of OpenStack Swift (Object Store API v1), or of what speaks its API."""

from gateway.stores.swift.store import SwiftStore

__all__ = ["SwiftStore"]
