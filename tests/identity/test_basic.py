from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity import IDENTITIES, BasicIdentity
from gateway.identity.basic import TTL_SECONDS
from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, NotAuthenticated, Unavailable

GOLD = Caller(
    project_id="p-gold", project_name="gold", project_domain="d", project_tags=("tier:gold",), user_id="gold",
    user_name="gold", roles=("member", "image-publisher"),
)  # fmt: skip
USERS = {"gold": GOLD}
SHOW = {"method": "GET", "path": "/v2/images"}


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def line(name: str, password: str, cost: int = 4) -> str:
    return f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()}\n"


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_text("# users\n\n" + line("gold", "demo:with colon") + line("stray", "demo"))
    return path


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every hash bcrypt is asked about; the real check still runs."""
    seen: list[bytes] = []
    real = bcrypt.checkpw

    def check(password: bytes, value: bytes) -> bool:
        seen.append(value)
        return real(password, value)

    monkeypatch.setattr(bcrypt, "checkpw", check)
    return seen


def identified(identity: BasicIdentity, *headers: dict[str, str]) -> Caller:
    async def one_after_the_other() -> Caller:
        return [await identity.identify(each, **SHOW) for each in headers][-1]

    return asyncio.run(one_after_the_other())


def test_a_user_gets_its_project_tags_and_roles(htpasswd: Path) -> None:
    identity = BasicIdentity(htpasswd, USERS)
    assert identified(identity, basic("gold", "demo:with colon")) == GOLD
    lower = {"authorization": basic("gold", "demo:with colon")["authorization"].replace("Basic", "bAsIc")}
    assert identified(identity, lower) == GOLD
    assert identity.challenge() == 'Basic realm="Import Gateway"'


def test_unknown_users_and_wrong_passwords_look_and_cost_the_same(htpasswd: Path, checks: list[bytes]) -> None:
    identity = BasicIdentity(htpasswd, USERS)
    said = []
    for headers in (basic("gold", "wrong"), basic("nobody", "wrong")):
        with pytest.raises(NotAuthenticated) as refused:
            identified(identity, headers)
        said.append((refused.value.message, refused.value.remedy, refused.value.code))
    assert said[0] == said[1]
    assert [value[:7] for value in checks] == [b"$2b$04$", b"$2b$04$"]


def test_a_user_without_a_project_is_refused(htpasswd: Path) -> None:
    with pytest.raises(NotAuthenticated, match="no project"):
        identified(BasicIdentity(htpasswd, USERS), basic("stray", "demo"))


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic ", "Basic !!!", "Basic Z29sZA==", "Basic OmRlbW8=", "Basic Z29sZDpkZW1v=", "Bearer abc",
     "Basic " + base64.b64encode(b"\xff\xfe:x").decode(), "Basic \u00e9", "Basic Z29s ZDpk", "Basic" + "A" * 70_000],
)  # fmt: skip
def test_a_malformed_header_is_not_authenticated(htpasswd: Path, header: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        identified(BasicIdentity(htpasswd, USERS), {"authorization": header})
    assert refused.value.remedy
    with pytest.raises(NotAuthenticated):
        identified(BasicIdentity(htpasswd, USERS), {})


@pytest.mark.parametrize("password", ["\0", "x\0y", "p" * 100, "naïve 🐧", ""])
def test_any_password_is_answered(htpasswd: Path, password: str) -> None:
    identity = BasicIdentity(htpasswd, USERS)
    with pytest.raises(NotAuthenticated):
        identified(identity, basic("gold", password))


def test_long_passwords_work_as_htpasswd_hashes_them(htpasswd: Path) -> None:
    htpasswd.write_text(line("gold", "p" * 72))
    assert identified(BasicIdentity(htpasswd, USERS), basic("gold", "p" * 100)) == GOLD


def test_a_right_password_is_checked_once_a_minute(htpasswd: Path, checks: list[bytes]) -> None:
    clock = Clock()
    identity = BasicIdentity(htpasswd, USERS, monotonic=clock)
    right = basic("gold", "demo:with colon")
    identified(identity, right, right, right)
    assert len(checks) == 1
    clock.seconds += TTL_SECONDS
    identified(identity, right)
    assert len(checks) == 2


def test_a_wrong_password_costs_a_check_each_time(htpasswd: Path, checks: list[bytes]) -> None:
    identity = BasicIdentity(htpasswd, USERS)
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            identified(identity, basic("gold", "wrong"))
    assert len(checks) == 2


def test_requests_that_arrive_together_share_one_check(htpasswd: Path, checks: list[bytes]) -> None:
    identity = BasicIdentity(htpasswd, USERS)

    async def together() -> list[Caller]:
        return await asyncio.gather(*(identity.identify(basic("gold", "demo:with colon"), **SHOW) for _ in range(50)))

    assert Counter(caller.user_id for caller in asyncio.run(together())) == {"gold": 50}
    assert len(checks) == 1


def test_a_caller_that_goes_away_takes_nobody_along(htpasswd: Path) -> None:
    identity = BasicIdentity(htpasswd, USERS)

    async def scene() -> Caller:
        tasks = [asyncio.create_task(identity.identify(basic("gold", "demo:with colon"), **SHOW)) for _ in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return await tasks[1]

    assert asyncio.run(scene()) == GOLD


def test_a_right_password_opens_no_other_door(htpasswd: Path) -> None:
    identity = BasicIdentity(htpasswd, USERS)
    identified(identity, basic("gold", "demo:with colon"))
    for headers in (basic("gold", "demo"), basic("golden", "demo:with colon"), basic("gold:demo", "with colon ")):
        with pytest.raises(NotAuthenticated):
            identified(identity, headers)


def test_a_changed_file_counts_at_once(htpasswd: Path) -> None:
    identity = BasicIdentity(htpasswd, USERS)
    identified(identity, basic("gold", "demo:with colon"))
    htpasswd.write_text(line("gold", "another"))
    with pytest.raises(NotAuthenticated):
        identified(identity, basic("gold", "demo:with colon"))
    assert identified(identity, basic("gold", "another")) == GOLD
    htpasswd.unlink()
    with pytest.raises(Unavailable):
        identified(identity, basic("gold", "another"))


NAMELESS = ":$2b$04$vyzxEuMQ9..UCuirMgeXxOPcvHt4RyiUou.oluHDlKCKwaP.CqTZG\n"


@pytest.mark.parametrize("wrong", ["gold:plaintext\n", "gold:$apr1$abc$def\n", NAMELESS, "gold\n"])
def test_a_wrong_user_file_is_said_by_line_and_not_shown(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(line("a", "x") + wrong)
    with pytest.raises(Unavailable) as refused:
        BasicIdentity(path, USERS)
    assert f"{path}:2" in refused.value.message
    assert "plaintext" not in refused.value.message + refused.value.remedy


def test_the_loop_stays_free_while_bcrypt_works(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(line("gold", "demo", cost=11))
    identity = BasicIdentity(path, USERS)

    async def scene() -> int:
        checking, turns = asyncio.create_task(identity.identify(basic("gold", "demo"), **SHOW)), 0
        while not checking.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(scene()) > 20


@settings(deadline=None, max_examples=200)
@given(
    header=st.one_of(
        st.text(max_size=60), st.binary(max_size=60).map(lambda b: "Basic " + base64.b64encode(b).decode())
    )
)
def test_no_header_is_an_accident(never: Callable[[str], None], header: str) -> None:
    never(header)


@pytest.fixture(scope="module")
def never(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    path = tmp_path_factory.mktemp("users") / "htpasswd"
    path.write_text(line("gold", "demo"))
    identity = BasicIdentity(path, USERS)

    def refuse(header: str) -> None:
        with pytest.raises(NotAuthenticated):
            asyncio.run(identity.identify({"authorization": header}, **SHOW))

    return refuse


def test_settings_choose_the_identity(htpasswd: Path) -> None:
    everyone = IDENTITIES["none"](SimpleNamespace(everyone=GOLD))
    assert asyncio.run(everyone.identify({}, **SHOW)) == GOLD
    users = IDENTITIES["basic"](SimpleNamespace(htpasswd=htpasswd, users=USERS))
    assert asyncio.run(users.identify(basic("gold", "demo:with colon"), **SHOW)) == GOLD
    with pytest.raises(BadRequest, match="user file"):
        IDENTITIES["basic"](SimpleNamespace(htpasswd=None, users=USERS))
