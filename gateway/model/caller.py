"""Who asks, as read from a token (or from a user file)."""

from __future__ import annotations

from dataclasses import dataclass

_READING = frozenset({"admin", "member", "reader", "service"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One authenticated user acting for one project. `tags` are the project's tags."""

    project_id: str
    project_name: str = ""
    project_domain: str = "default"
    project_tags: tuple[str, ...] = ()
    user_id: str
    user_name: str = ""
    roles: tuple[str, ...] = ("member", "reader")

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    @property
    def is_service(self) -> bool:
        """Another service of the same cloud, on its own account: a service token beside a user's adds no rights."""
        return "service" in self.roles

    @property
    def reads(self) -> bool:
        """Glance's default rule for every read: the role `reader`, or one that implies it."""
        return not _READING.isdisjoint(self.roles)

    def may_write(self, owner: str | None) -> bool:
        """Glance's default rule for modify/upload/delete: admin, or a member of the owning project."""
        return self.is_admin or ("member" in self.roles and owner == self.project_id)
