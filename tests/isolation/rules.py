"""Who may see and do what with images: the default policies of the Images API, written down a second time.

Nothing here is shared with the service. Functions answer with the status a request gets; a good one has changed the
model. What a caller may not see does not exist for it (404); what it sees and may not do is forbidden (403).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PROJECTS = ("red", "green", "blue")
ROLES = ("admin", "member", "reader")
VISIBILITIES = ("public", "private", "shared", "community")
ANSWERS = ("pending", "accepted", "rejected")
STATUSES = ("queued", "uploading", "active", "deactivated")


@dataclass(frozen=True)
class User:
    project: str
    role: str

    def __str__(self) -> str:
        return f"{self.project}-{self.role}"

    @property
    def rules(self) -> bool:
        return self.role == "admin"

    @property
    def writes(self) -> bool:
        return self.role != "reader"


@dataclass
class Image:
    """`members` maps the projects it is shared with to their answers."""

    owner: str
    visibility: str
    hidden: bool = False
    status: str = "queued"
    tags: frozenset[str] = frozenset()
    members: dict[str, str] = field(default_factory=dict)


@dataclass
class Rules:
    """All images that are alive, by id."""

    images: dict[str, Image] = field(default_factory=dict)

    def sees(self, user: User, image: Image) -> bool:
        shared = image.visibility == "shared" and user.project in image.members
        return user.rules or image.owner == user.project or shared or image.visibility in ("public", "community")

    def owns(self, user: User, image: Image) -> bool:
        """May change it: an admin, or a member of the project that owns it."""
        return user.rules or (user.writes and image.owner == user.project)

    def create(self, user: User, visibility: str) -> int:
        if not user.writes or (visibility == "public" and not user.rules):
            return 403
        return 201

    def show(self, user: User, image_id: str) -> int:
        image = self.images.get(image_id)
        return 200 if image is not None and self.sees(user, image) else 404

    def publish(self, user: User, image_id: str, visibility: str) -> int:
        """Changing the visibility."""
        refused = self._refused(user, image_id)
        if refused:
            return refused
        image = self.images[image_id]
        if visibility == "public" and image.visibility != "public" and not user.rules:
            return 403
        image.visibility = visibility
        return 200

    def hide(self, user: User, image_id: str, hidden: bool) -> int:
        refused = self._refused(user, image_id)
        if refused:
            return refused
        self.images[image_id].hidden = hidden
        return 200

    def delete(self, user: User, image_id: str) -> int:
        refused = self._refused(user, image_id)
        if refused:
            return refused
        del self.images[image_id]
        return 204

    def send(self, user: User, image_id: str, arrives: Literal["uploading", "active"]) -> int:
        """`PUT stage` and `PUT file`."""
        refused = self._refused(user, image_id)
        if refused:
            return refused
        image = self.images[image_id]
        if image.status != "queued":
            return 409
        image.status = arrives
        return 204

    def download(self, user: User, image_id: str) -> int:
        if self.show(user, image_id) == 404:
            return 404
        image = self.images[image_id]
        if not user.writes or (image.status == "deactivated" and not user.rules):
            return 403
        return 200 if image.status in ("active", "deactivated") else 204

    def switch(self, user: User, image_id: str, status: Literal["active", "deactivated"]) -> int:
        """The actions `deactivate` and `reactivate`."""
        refused = self._refused(user, image_id)
        if refused:
            return refused
        image = self.images[image_id]
        if image.status not in ("active", "deactivated"):
            return 403
        image.status = status
        return 204

    def share(self, user: User, image_id: str, project: str) -> int:
        refused = self._refused(user, image_id)
        if refused:
            return refused
        image = self.images[image_id]
        if image.visibility != "shared":
            return 403
        if project in image.members:
            return 409
        image.members[project] = "pending"
        return 200

    def answer(self, user: User, image_id: str, project: str, answer: str) -> int:
        """Setting a member's status: the member's own affair."""
        refused = self._member_refused(user, image_id, project)
        if refused:
            return refused
        if not user.rules and not (user.writes and user.project == project):
            return 403
        self.images[image_id].members[project] = answer
        return 200

    def unshare(self, user: User, image_id: str, project: str) -> int:
        refused = self._member_refused(user, image_id, project)
        if refused:
            return refused
        if not self.owns(user, self.images[image_id]):
            return 403
        del self.images[image_id].members[project]
        return 204

    def members(self, user: User, image_id: str) -> Mapping[str, str] | int:
        """The list of members: the owner's to see whole, a member sees itself."""
        if self.show(user, image_id) == 404:
            return 404
        image = self.images[image_id]
        if image.visibility != "shared":
            return 403
        whole = user.rules or image.owner == user.project
        return {project: answer for project, answer in image.members.items() if whole or project == user.project}

    def member(self, user: User, image_id: str, project: str) -> int:
        """One member; whatever is not to be known does not exist."""
        return 404 if self._member_refused(user, image_id, project) else 200

    def listed(
        self,
        user: User,
        *,
        visibility: str | None = None,
        member_status: str = "accepted",
        hidden: bool = False,
        status: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
    ) -> set[str]:
        """The ids of a list with these filters."""
        return {
            image_id
            for image_id, image in self.images.items()
            if self._lists(user, image, visibility, member_status)
            and image.hidden == hidden
            and status in (None, image.status)
            and owner in (None, image.owner)
            and (tag is None or tag in image.tags)
        }

    def _lists(self, user: User, image: Image, visibility: str | None, member_status: str) -> bool:
        """Others' community images are listed only where they are asked for, to admins too."""
        own = image.owner == user.project
        if visibility not in (None, "all", image.visibility):
            return False
        if visibility is None and image.visibility == "community" and not own:
            return False
        answer = image.members.get(user.project) if image.visibility == "shared" else None
        shared = answer is not None and member_status in ("all", answer)
        return user.rules or own or shared or image.visibility in ("public", "community")

    def _refused(self, user: User, image_id: str) -> int:
        """404 for what is not seen, 403 for what is not the caller's to change, else 0."""
        if self.show(user, image_id) == 404:
            return 404
        return 0 if self.owns(user, self.images[image_id]) else 403

    def _member_refused(self, user: User, image_id: str, project: str) -> int:
        """One member of an image. Others than the owner know of no member but themselves."""
        found = self.members(user, image_id)
        if isinstance(found, int):
            return found
        return 0 if project in found else 404
