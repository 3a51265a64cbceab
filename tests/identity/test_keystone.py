"""Keystone tokens against a Keystone on a real socket: who is let in, who is not, and what Keystone is asked."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.identity import IDENTITIES, Account, KeystoneIdentity
from gateway.identity.keystone_calls import LONGEST_ANSWER, REFUSED_SECONDS
from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, NotAuthenticated, Refusal, Unavailable
from gateway.policy.problems import Problems
from gateway.policy.reader import Source
from gateway.settings import settings_from
from tests.identity.keystone_server import PASSWORD, USER, Answering, Cloud, certify, keystone
from tests.serving.process import LONGEST

ALICE = Caller(
    project_id="p1", project_name="alpha", project_domain="d1", project_tags=("tier:gold",), user_id="u1",
    user_name="alice", roles=("member", "reader"),
)  # fmt: skip
SHOW = {"method": "GET", "path": "/v2/images"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certify(tmp_path_factory.mktemp("keystone"))


@pytest.fixture
def cloud(certificate: Path) -> Iterator[Cloud]:
    with keystone(certificate) as cloud:
        yield cloud


class Asker:
    """Requests that reach one gateway, one after the other."""

    def __init__(self, cloud: Cloud, *, timeout: float = 10.0, **more: Any) -> None:
        account = Account(
            url=cloud.url, username=USER, password=PASSWORD, user_domain="Default", project="service",
            project_domain="Default", timeout=timeout, ca_file=cloud.certificate,
        )  # fmt: skip
        self.identity = KeystoneIdentity(account, now=cloud.clock.now, monotonic=cloud.clock.monotonic, **more)

    async def __call__(self, token: str, service: str = "", **call: str) -> Caller | type[Refusal]:
        headers = {"x-auth-token": token} | ({"x-service-token": service} if service else {})
        try:
            return await self.identity.identify(headers, **{**SHOW, **call})
        except Refusal as refusal:
            return type(refusal)

    async def aclose(self) -> None:
        await self.identity.aclose()


def walk(cloud: Cloud, steps: Callable[[Asker], Any], **more: Any) -> Any:
    async def walked() -> Any:
        async with aclosing(Asker(cloud, **more)) as ask:
            return await steps(ask)

    return asyncio.run(walked())


def test_a_token_becomes_a_caller_with_its_project_domain_tags_and_roles(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        assert await ask(cloud.issue("alice")) == ALICE
        assert ask.identity.challenge() == f'Keystone uri="{cloud.url}"'
        (asked,) = cloud.asked("GET", "/auth/tokens")
        assert (asked.headers["x-subject-token"], asked.headers["x-auth-token"]) == ("alice", "own-1")
        assert asked.query == {"nocatalog": [""]}

    walk(cloud, steps)


def test_a_checked_token_is_not_checked_again_for_a_minute(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        for _ in range(5):
            assert await ask(cloud.issue("alice")) == ALICE
            cloud.clock.pass_(11)
        assert len(cloud.seen) == 3  # a login, a token, a project
        cloud.clock.pass_(11)
        assert await ask("alice") == ALICE
        assert len(cloud.asked("GET", "/auth/tokens")) == 2

    walk(cloud, steps)


def test_a_revoked_token_counts_no_longer_than_the_cache_holds(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        assert await ask(cloud.issue("alice")) == ALICE
        del cloud.tokens["alice"]
        cloud.clock.pass_(20.1)
        assert await ask("alice") is NotAuthenticated

    walk(cloud, steps, ttl=20.0)


def test_a_token_is_over_when_it_ends_whatever_the_cache_says(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        cloud.issue("alice", lives=30)
        assert await ask("alice") == ALICE
        cloud.clock.pass_(29.9)
        assert await ask("alice") == ALICE
        cloud.clock.pass_(0.1)
        assert await ask("alice") is NotAuthenticated

    walk(cloud, steps)


def test_a_token_keystone_still_knows_after_its_end_is_refused_all_the_same(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        cloud.issue("alice", expires_at="2026-11-22T12:00:00.000000Z")
        cloud.is_over = lambda name: False  # type: ignore[method-assign]
        assert await ask("alice") is NotAuthenticated

    walk(cloud, steps)


def test_tags_are_read_once_a_minute_for_a_project_and_not_for_each_token(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        assert await ask(cloud.issue("alice")) == await ask(cloud.issue("again")) == ALICE
        assert len(cloud.asked("GET", "/projects/p1")) == 1
        cloud.projects["p1"] = ["tier:silver"]
        cloud.clock.pass_(60)
        assert await ask("alice") == replace(ALICE, project_tags=("tier:silver",))
        del cloud.projects["p1"]
        cloud.clock.pass_(60)
        assert await ask("alice") is NotAuthenticated

    walk(cloud, steps)


IMPOSSIBLE = [
    "",
    "  ",
    "a b",
    "x\r\nX-Roles: admin",
    "x\nX-Roles: admin",
    "t\u00e9",
    "t\0",
    "\U0001f600",
    "x" * 100_000,
]


@pytest.mark.parametrize("token", IMPOSSIBLE, ids=lambda token: ascii(token[:24]))
def test_what_cannot_be_a_token_is_refused_without_asking_keystone(cloud: Cloud, token: str) -> None:
    async def steps(ask: Asker) -> None:
        assert await ask(token) is NotAuthenticated
        if token.strip():
            assert await ask(cloud.issue("alice"), service=token) is NotAuthenticated
        assert not [seen for seen in cloud.seen if seen.headers.get("x-subject-token") != "alice"]

    walk(cloud, steps)


def test_identity_headers_of_the_request_say_nothing(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        headers = {"x-auth-token": cloud.issue("alice"), "x-roles": "admin", "x-project-id": "p2", "x-user-id": "root"}
        assert await ask.identity.identify(headers, **SHOW) == ALICE

    walk(cloud, steps)


def test_a_wrong_token_is_remembered_for_a_moment_only(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        for _ in range(20):
            assert await ask("wrong") is NotAuthenticated
        assert len(cloud.asked("GET", "/auth/tokens")) == 1
        cloud.issue("wrong")
        cloud.clock.pass_(10)
        assert await ask("wrong") == ALICE

    walk(cloud, steps)


def test_a_hundred_requests_with_one_token_are_one_question(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        cloud.issue("alice")
        assert await asyncio.gather(*(ask("alice") for _ in range(100))) == [ALICE] * 100
        assert len(cloud.seen) == 3

    walk(cloud, steps)


def test_a_request_that_leaves_does_not_take_the_answer_from_the_others(cloud: Cloud) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(answering: Answering) -> bool:
        arrived.set()
        go_on.wait(LONGEST)
        return False

    async def steps(ask: Asker) -> None:
        cloud.issue("alice")
        cloud.broken = hold
        first, second = (asyncio.create_task(ask("alice")) for _ in range(2))
        await asyncio.to_thread(arrived.wait)
        first.cancel()
        await asyncio.wait([first])
        go_on.set()
        assert (first.cancelled(), await second) == (True, ALICE)

    walk(cloud, steps)


SERVICE_TOKENS = [
    # roles of the service token, required, the user's token is over -> who
    (None, True, False, ALICE),
    (None, True, True, NotAuthenticated),
    (("service",), True, False, ALICE),
    (("service", "admin"), True, True, ALICE),
    (("member",), True, False, NotAuthenticated),
    (("admin",), True, True, NotAuthenticated),
    (("admin",), False, False, ALICE),
    (("admin",), False, True, NotAuthenticated),
    (("service",), False, True, ALICE),
]


@pytest.mark.parametrize(("roles", "required", "over", "expected"), SERVICE_TOKENS)
def test_an_expired_token_counts_only_beside_a_service_token_with_the_role(
    cloud: Cloud, roles: tuple[str, ...] | None, required: bool, over: bool, expected: Any
) -> None:
    async def steps(ask: Asker) -> None:
        cloud.issue("alice", lives=-5 if over else 3600)
        service = cloud.issue("nova", roles=roles) if roles is not None else ""
        assert await ask("alice", service) == expected

    walk(cloud, steps, roles_required=required)


@pytest.mark.parametrize("required", [True, False])
def test_a_service_token_that_is_wrong_or_over_refuses_the_request(cloud: Cloud, required: bool) -> None:
    async def steps(ask: Asker) -> None:
        cloud.issue("alice")
        assert await ask("alice", "junk") is NotAuthenticated
        assert await ask("alice", cloud.issue("late", roles=("service",), lives=-1)) is NotAuthenticated
        assert await ask("", cloud.issue("nova", roles=("service",))) is NotAuthenticated

    walk(cloud, steps, roles_required=required)


def test_what_a_service_token_opened_stays_closed_without_it(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        cloud.issue("alice", lives=-5)
        assert await ask("alice", cloud.issue("nova", roles=("service",))) == ALICE
        assert await ask("alice") is NotAuthenticated

    walk(cloud, steps)


def test_access_rules_open_their_calls_and_no_others(cloud: Cloud) -> None:
    rules = [("image", "GET", "/v2/images/{id}"), ("image", "PUT", "/v2/images/**"), ("compute", "DELETE", "/**")]

    async def steps(ask: Asker) -> None:
        token = cloud.restricted("robot", *rules)
        assert await ask(token, path="/v2/images/i1") == ALICE
        assert await ask(token, method="PUT", path="/v2/images/i1/file") == ALICE
        for method, path in (("GET", "/v2/images"), ("GET", "/v2/images/i1/file"), ("DELETE", "/v2/images/i1")):
            assert await ask(token, method=method, path=path) is NotAuthenticated
        assert await ask(cloud.restricted("closed"), path="/v2/images/i1") is NotAuthenticated
        free = cloud.issue("free", application_credential={"id": "c2", "name": "free", "restricted": True})
        assert await ask(free, path="/v2/images") == ALICE

    walk(cloud, steps)


@pytest.mark.parametrize(("roles", "expected"), [(("service",), ALICE), (("member",), NotAuthenticated)])
def test_only_a_real_service_token_lifts_the_access_rules(cloud: Cloud, roles: tuple[str, ...], expected: Any) -> None:
    async def steps(ask: Asker) -> None:
        token = cloud.restricted("robot", ("image", "GET", "/v2/images/*"))
        assert await ask(token, cloud.issue("other", roles=roles), method="DELETE", path="/v2/images/i1") == expected

    walk(cloud, steps, roles_required=False)


SCOPES = [{"system": {"all": True}}, {"domain": {"id": "default", "name": "Default"}}, {}]


@pytest.mark.parametrize("scope", SCOPES, ids=["system", "domain", "nothing"])
def test_a_token_without_a_project_gives_no_rights(cloud: Cloud, scope: dict[str, Any]) -> None:
    async def steps(ask: Asker) -> None:
        caller = await ask(cloud.issue("root", roles=("admin", "member", "reader"), project=None, **scope))
        assert isinstance(caller, Caller)
        assert (caller.project_id, caller.roles, caller.is_admin) == ("", (), False)
        assert not any(caller.may_write(owner) for owner in ("", None, "p1"))
        assert not cloud.asked("GET", "/projects/")

    walk(cloud, steps)


def test_glances_roles_are_known_in_any_case_and_other_roles_stay_as_they_are(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        caller = await ask(cloud.issue("root", roles=("Admin", "Image-Publisher"), is_admin_project=False))
        assert isinstance(caller, Caller)
        assert (caller.roles, caller.is_admin) == (("admin", "Image-Publisher"), True)

    walk(cloud, steps)


@pytest.mark.parametrize("name", ["\ud800", "", None, 5])
def test_a_name_that_is_no_text_is_a_broken_answer(cloud: Cloud, name: Any) -> None:
    async def steps(ask: Asker) -> None:
        assert await ask(cloud.issue("alice", user={"id": "u1", "name": name})) is Unavailable

    walk(cloud, steps)


def test_an_id_of_a_project_cannot_lead_the_question_elsewhere(cloud: Cloud) -> None:
    project = {"domain": {"id": "d1", "name": "Corp"}, "id": "../auth/tokens?x", "name": "odd"}

    async def steps(ask: Asker) -> None:
        assert await ask(cloud.issue("odd", project=project)) is NotAuthenticated
        assert cloud.seen[-1].path == "/v3/projects/..%2Fauth%2Ftokens%3Fx"

    walk(cloud, steps)


def test_the_own_token_is_renewed_before_it_ends(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        cloud.lifetime = 300
        for number in range(20):
            assert await ask(cloud.issue(f"alice{number}")) == ALICE
            cloud.clock.pass_(59)
        assert 4 <= len(cloud.asked("POST", "/auth/tokens")) <= 6
        assert len(cloud.asked("GET", "/auth/tokens")) == 20, "no question was asked with a token that was over"

    walk(cloud, steps)


def test_an_own_token_that_was_revoked_is_replaced_once_for_all_who_noticed(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        assert await ask(cloud.issue("first")) == ALICE
        del cloud.tokens["own-1"]
        names = [cloud.issue(f"alice{number}") for number in range(10)]
        assert await asyncio.gather(*(ask(name) for name in names)) == [ALICE] * 10
        assert len(cloud.asked("POST", "/auth/tokens")) == 2

    walk(cloud, steps)


def test_a_login_that_is_refused_is_not_hammered_and_the_caller_is_not_blamed(cloud: Cloud) -> None:
    async def steps(ask: Asker) -> None:
        cloud.password = "changed"
        for number in range(5):
            assert await ask(cloud.issue(f"alice{number}")) is Unavailable
        assert len(cloud.seen) == 1
        cloud.password = PASSWORD
        cloud.clock.pass_(REFUSED_SECONDS)
        assert await ask("alice1") == ALICE

    walk(cloud, steps)


@pytest.mark.parametrize("forbidden", ["/v3/auth/tokens", "/v3/projects"])
def test_an_own_user_without_the_role_is_the_operators_trouble(cloud: Cloud, forbidden: str) -> None:
    async def steps(ask: Asker) -> None:
        cloud.forbidden = forbidden
        assert await ask(cloud.issue("alice")) is Unavailable

    walk(cloud, steps)


def sends(status: int, body: Any, headers: dict[str, str] | None = None) -> Callable[[Answering], bool]:
    def broken(answering: Answering) -> bool:
        answering.send(status, body, headers)
        return True

    return broken


def hangs(answering: Answering) -> bool:
    """Nothing is answered until the client goes."""
    if answering.command == "POST":
        answering.rfile.read(int(answering.headers["Content-Length"]))
    answering.rfile.read(1)
    return True


def breaks_off(answering: Answering) -> bool:
    answering.send_response(200)
    answering.send_header("Content-Length", "500")
    answering.end_headers()
    answering.wfile.write(b'{"token": ')
    return True


def spoils(answering: Answering) -> bool:
    """The right answer under a status that takes it back."""
    answering.spoiled = 500
    return False


def trickles(answering: Answering) -> bool:
    answering.send_response(200)
    answering.end_headers()
    while True:
        answering.wfile.write(b" ")
        time.sleep(0.1)


def redirects(answering: Answering) -> bool:
    """To a place that would give the right answer."""
    if "again" in answering.path:
        return False
    answering.send(307, b"", {"Location": f"{answering.path}{'&' if '?' in answering.path else '?'}again=1"})
    return True


def pads(answering: Answering) -> bool:
    """The right answer, and more white space than anybody has to read."""
    answering.padding = b" " * LONGEST_ANSWER
    return False


def never_ends(answering: Answering) -> bool:
    answering.send_response(200)
    answering.end_headers()
    while True:
        answering.wfile.write(b" " * 65536)


BROKEN = {
    "500": sends(500, {"error": {"code": 500}}),
    "502 in HTML": sends(502, b"<html>Bad Gateway</html>"),
    "503": sends(503, b""),
    "429": sends(429, b""),
    "redirect": redirects,
    "right but 500": spoils,
    "trickles": trickles,
    "empty": sends(200, b""),
    "no JSON": sends(200, b"{'token'"),
    "deep": sends(200, b"[" * 200_000),
    "a list": sends(200, []),
    "null": sends(200, None),
    "no user": sends(200, {"token": {}}),
    "wrong types": sends(200, {"token": {"user": {"id": 1, "name": []}, "project": 5, "expires_at": "soon"}}),
    "login without token": sends(201, {"token": {}}),
    "huge": pads,
    "hangs": hangs,
    "breaks off": breaks_off,
    "never ends": never_ends,
}


@pytest.mark.parametrize("breaking", ["POST /v3/auth/tokens", "GET /v3/auth/tokens", "GET /v3/projects"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_keystone_is_503_and_forgotten_when_it_is_back(cloud: Cloud, fault: str, breaking: str) -> None:
    def broken(answering: Answering) -> bool:
        return f"{answering.command} {answering.path}".startswith(breaking) and BROKEN[fault](answering)

    async def steps(ask: Asker) -> None:
        cloud.issue("alice")
        cloud.broken = broken
        assert await ask("alice") is Unavailable
        cloud.broken = lambda answering: False
        assert await ask("alice") == ALICE

    walk(cloud, steps, timeout=3.0 if fault in ("hangs", "trickles") else 10.0)


def test_a_keystone_that_is_gone_leaves_checked_tokens_until_they_have_to_be_checked_again(certificate: Path) -> None:
    async def steps(ask: Asker) -> None:
        with_keystone.__exit__(None, None, None)
        assert (await ask("alice"), await ask("other")) == (ALICE, Unavailable)
        cloud.clock.pass_(60)
        assert await ask("alice") is Unavailable

    async def known_first(ask: Asker) -> None:
        assert await ask(cloud.issue("alice")) == ALICE
        await steps(ask)

    with_keystone = keystone(certificate)
    cloud = with_keystone.__enter__()
    walk(cloud, known_first)


def test_no_secret_is_logged_shown_or_told(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    async def steps(ask: Asker) -> None:
        cloud.forbidden = "/v3/projects"
        with pytest.raises(Unavailable) as refused:
            await ask.identity.identify({"x-auth-token": cloud.issue("secret-token")}, **SHOW)
        said = caplog.text + str(refused.value.message) + refused.value.remedy
        assert "may not GET /projects/p1" in caplog.text
        assert not [secret for secret in ("secret-token", "own-1", PASSWORD) if secret in said]

    with caplog.at_level(logging.DEBUG, logger="gateway"):
        walk(cloud, steps)


def read(text: str) -> Any:
    return settings_from(Source("gateway.yaml", text.encode()), Path("/nowhere")).identity


@pytest.mark.parametrize("suffix", ["", "/", "/v3", "/v3/"])
def test_the_settings_make_it_with_any_spelling_of_the_url(cloud: Cloud, suffix: str) -> None:
    url = cloud.url.removesuffix("/v3") + suffix
    keys = f"auth_url: '{url}', username: {USER}, password: {PASSWORD}, ca_file: '{cloud.certificate}'"
    settings = read(f"identity: {{type: keystone, keystone: {{{keys}}}}}")
    assert PASSWORD not in repr(settings)

    async def who() -> Caller:
        async with aclosing(IDENTITIES["keystone"](settings)) as identity:
            return await identity.identify({"x-auth-token": cloud.issue("alice", lives=1e9)}, **SHOW)

    cloud.lifetime = 1e9
    assert asyncio.run(who()) == ALICE


def test_certificates_that_cannot_be_read_stop_the_start() -> None:
    settings = read(
        "identity: {type: keystone, keystone: {auth_url: 'https://k', username: u, password: p, ca_file: gone.pem}}"
    )
    with pytest.raises(BadRequest, match=r"gone\.pem"):
        IDENTITIES["keystone"](settings)


@pytest.mark.parametrize(
    ("keys", "codes"),
    [
        ("", ["incomplete-identity"] * 3),
        ("auth_url: 'https://k', username: u", ["incomplete-identity"]),
        ("auth_url: 'https://k', username: u, password: p, cache_ttl: 61s", ["long-cache"]),
        ("auth_url: 'https://u:p@k/v3', username: u, password: p", ["bad-value"]),
        ("auth_url: 'https://k', username: u, password: p, cache_ttl: fast", ["bad-value"]),
        ("auth_url: 'https://k', username: u, password: p, service_token_roles: []", ["empty"]),
    ],
)
def test_settings_that_cannot_work_are_named(keys: str, codes: list[str]) -> None:
    with pytest.raises(Problems) as found:
        read(f"identity: {{type: keystone, keystone: {{{keys}}}}}")
    assert [problem.code for problem in found.value.problems] == codes
