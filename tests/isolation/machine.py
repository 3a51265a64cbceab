"""The state machine: whatever the users do, the service answers what the rules say, and shows nothing else."""

from __future__ import annotations

from itertools import count
from typing import Literal

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.isolation.cloud import USERS, Cloud
from tests.isolation.rules import ANSWERS, PROJECTS, ROLES, STATUSES, VISIBILITIES, Image, Rules, User

RECORD = {"disk_format": "raw", "container_format": "bare"}
ADMIN = User("red", "admin")

# Mostly members: an admin is refused nothing, and a reader nearly all.
users = st.builds(User, st.sampled_from(PROJECTS), st.sampled_from(("member", "member", *ROLES)))
visibilities = st.sampled_from(VISIBILITIES)
projects = st.sampled_from(PROJECTS)
queries = st.fixed_dictionaries(
    {},
    optional={
        "visibility": st.sampled_from((*VISIBILITIES, "all")),
        "member_status": st.sampled_from((*ANSWERS, "all")),
        "os_hidden": st.sampled_from(("true", "false")),
        "status": st.sampled_from(STATUSES),
        "owner": projects,
        "tag": st.just("marked"),
        "limit": st.sampled_from(("1", "2", "3")),
        "sort": st.sampled_from(("name:asc", "status,size:asc", "created_at:asc")),
    },
)


class Isolation(RuleBasedStateMachine):
    images = Bundle("images")
    cloud: Cloud
    taken: list[int]

    def __init__(self) -> None:
        super().__init__()
        self.law = Rules()
        self.steps = 0

    @initialize(target=images, owners=st.permutations(PROJECTS))
    def begin(self, owners: list[str]) -> object:
        """Shared images to start with, and one with everybody else: most of what can go wrong needs them."""
        made = [self._made(User(owner, "member"), "shared", False) for owner in owners]
        for project in owners[1:]:
            self.share(User(owners[0], "member"), made[0], project)
        return multiple(*made)

    @rule(target=images, user=users, visibility=visibilities, marked=st.booleans())
    def create(self, user: User, visibility: str, marked: bool) -> object:
        expected = self.law.create(user, visibility)
        if expected == 201:
            return self._made(user, visibility, marked)
        self._check(expected, self.cloud.ask(user, "POST", "", json={**RECORD, "visibility": visibility}).status_code)
        return multiple()

    @rule(user=users, image=images)
    def show(self, user: User, image: str) -> None:
        answer = self.cloud.ask(user, "GET", f"/{image}")
        self._check(self.law.show(user, image), answer.status_code)
        if answer.status_code == 200:
            known, seen = self.law.images[image], answer.json()
            assert (seen["owner"], seen["visibility"], seen["os_hidden"], seen["status"]) == (
                known.owner,
                known.visibility,
                known.hidden,
                known.status,
            )

    @rule(user=users, image=images, visibility=visibilities)
    def publish(self, user: User, image: str, visibility: str) -> None:
        answer = self.cloud.patch(user, image, "visibility", visibility)
        self._check(self.law.publish(user, image, visibility), answer.status_code)

    @rule(user=users, image=images, hidden=st.booleans())
    def hide(self, user: User, image: str, hidden: bool) -> None:
        self._check(self.law.hide(user, image, hidden), self.cloud.patch(user, image, "os_hidden", hidden).status_code)

    @rule(user=users, image=images)
    def delete(self, user: User, image: str) -> None:
        self._check(self.law.delete(user, image), self.cloud.ask(user, "DELETE", f"/{image}").status_code)

    @rule(user=users, image=images)
    def stage(self, user: User, image: str) -> None:
        answer = self.cloud.put(user, f"/{image}/stage", image.encode())
        self._check(self.law.send(user, image, "uploading"), answer.status_code)

    @rule(user=users, image=images)
    def save(self, user: User, image: str) -> None:
        answer = self.cloud.put(user, f"/{image}/file", image.encode())
        self._check(self.law.send(user, image, "active"), answer.status_code)

    @rule(user=users, image=images)
    def download(self, user: User, image: str) -> None:
        answer = self.cloud.ask(user, "GET", f"/{image}/file")
        self._check(self.law.download(user, image), answer.status_code)
        assert answer.status_code != 200 or answer.content == image.encode()

    @rule(user=users, image=images, status=st.sampled_from(("active", "deactivated")))
    def switch(self, user: User, image: str, status: Literal["active", "deactivated"]) -> None:
        action = "reactivate" if status == "active" else "deactivate"
        answer = self.cloud.ask(user, "POST", f"/{image}/actions/{action}")
        self._check(self.law.switch(user, image, status), answer.status_code)

    @rule(user=users, image=images, project=projects)
    def share(self, user: User, image: str, project: str) -> None:
        answer = self.cloud.ask(user, "POST", f"/{image}/members", json={"member": project})
        self._check(self.law.share(user, image, project), answer.status_code)

    @rule(user=users, image=images, project=projects, said=st.sampled_from(ANSWERS))
    def answer(self, user: User, image: str, project: str, said: str) -> None:
        answer = self.cloud.ask(user, "PUT", f"/{image}/members/{project}", json={"status": said})
        self._check(self.law.answer(user, image, project, said), answer.status_code)

    @rule(user=users, image=images, project=projects)
    def unshare(self, user: User, image: str, project: str) -> None:
        answer = self.cloud.ask(user, "DELETE", f"/{image}/members/{project}")
        self._check(self.law.unshare(user, image, project), answer.status_code)

    @rule(user=users, image=images)
    def members(self, user: User, image: str) -> None:
        expected, answer = self.law.members(user, image), self.cloud.ask(user, "GET", f"/{image}/members")
        if isinstance(expected, int):
            self._check(expected, answer.status_code)
        else:
            self.steps += 1
            assert {one["member_id"]: one["status"] for one in answer.json()["members"]} == expected

    @rule(user=users, image=images, project=projects)
    def member(self, user: User, image: str, project: str) -> None:
        answer = self.cloud.ask(user, "GET", f"/{image}/members/{project}")
        self._check(self.law.member(user, image, project), answer.status_code)

    @rule(user=users, query=queries)
    def listing(self, user: User, query: dict[str, str]) -> None:
        self.steps += 1
        self._check_list(user, query)

    def teardown(self) -> None:
        """At the end everybody looks at everything; then the cloud is empty again."""
        try:
            for user in USERS:
                self._check_list(user, {})
                self._check_list(user, {"visibility": "all", "member_status": "all"})
        finally:
            self.taken.append(self.steps)
            for image in self.law.images:
                self.cloud.ask(ADMIN, "DELETE", f"/{image}")

    def _made(self, user: User, visibility: str, marked: bool) -> str:
        record = {**RECORD, "visibility": visibility, "tags": ["marked"] if marked else []}
        answer = self.cloud.ask(user, "POST", "", json=record)
        self._check(201, answer.status_code)
        image = str(answer.json()["id"])
        self.law.images[image] = Image(user.project, visibility, tags=frozenset(record["tags"]))
        return image

    def _check_list(self, user: User, query: dict[str, str]) -> None:
        found = self.cloud.listed(user, query)
        assert len(set(found)) == len(found), "an image is on two pages"
        filters = {name: value for name, value in query.items() if name not in ("limit", "sort", "os_hidden")}
        expected = self.law.listed(user, hidden=query.get("os_hidden") == "true", **filters)
        assert set(found) == expected, f"{user} lists {query}"

    def _check(self, expected: int, got: int) -> None:
        self.steps += 1
        assert got == expected, f"answered {got}, the rules say {expected}"


def explore(cloud: Cloud, steps: int, first_seed: int = 1) -> int:
    """Run at least `steps` requests of rules, and say how many. Raises AssertionError after the shortest way there."""
    taken: list[int] = []
    for number in count(first_seed):
        machine = seed(number)(type("Isolation", (Isolation,), {"cloud": cloud, "taken": taken}))
        run_state_machine_as_test(machine, settings=_SETTINGS)
        if sum(taken) >= steps:
            return sum(taken)
    raise AssertionError("counting has no end")


_SETTINGS = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
