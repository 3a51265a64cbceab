"""The settings: one gateway.yaml, read once, as one frozen tree."""

from gateway.settings.reading import overridden, read_settings, settings_from
from gateway.settings.stores import StoreSettings
from gateway.settings.tree import IdentitySettings, ServerSettings, Settings

__all__ = [
    "IdentitySettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "overridden",
    "read_settings",
    "settings_from",
]
