"""One reading of a URL: canonical, the same for the policy and for the client underneath."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.methods.location import Location, parse, redirected
from gateway.model.errors import BadRequest
from gateway.ports import Target

REFUSED = [
    "", "image", "/image", "//host/image", "http:", "http:/host", "http://", "http:///image", "file:///etc/passwd",
    "ftp://host/a", "gopher://host/", "data:text/plain,a", "javascript:alert(1)", "unix:///run/a.sock", "https:host/a",
    "http://user@host/", "http://user:secret@host/", "http://@host/", "http://host@127.0.0.1/", "http://a%40b@host/",
    "http://host:0/", "http://host:65536/", "http://host:/", "http://host:80:80/", "http://host:+80/", "http://host:８０/",
    "http://host:-1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/",
    "http://017700000001/", "http://127.1/", "http://127.0.1/", "http://0/", "http://127.0.0.1.1/", "http://1.2.3.256/",
    "http://127.0.0.01/", "http://a.0x7f/", "http://a.127/", "http://[::1/", "http://::1/", "http://[::1]x/",
    "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[v1.a]/", "http://[127.0.0.1]/", "http://[]/",
    "http://%31%32%37.0.0.1/", "http://127%2e0%2e0%2e1/", "http://host%00.example/", "http://ho st/", "http://host\\a/",
    "http://host\t/", "http://host/\r\nX: y", "http://host/a\x00", "http://host/a b", "http://host/\u2028", "http://host/é",
    "http://host/?q=é", "http://host/%", "http://host/%zz", "http://host/%00", "http://host/%0d%0aX:y", "http://host/%5c",
    "http://host/a/../b", "http://host/..", "http://host/%2e%2e/b", "http://host/.%2E/b", "http://host/./b",
    "http://host/<>", "http://host/?a|b", "http://a..b/", "http://.a/", "http://a.../", "http://-a.example/",
    "http://a_b-.example/", "http://*.example/", "http://a,b/", f"http://{'a' * 64}.example/",
    f"http://{'a.' * 130}example/", f"http://host/{'a' * 9000}", "http://ex\u00adample\u200b@host/", "http://①②⑦.⓪.⓪.1.9.9/",
    " http://host/", "http://host/ ", "http://host\n",
]  # fmt: skip

READ = [
    ("http://host", "http://host/", 80),
    ("HTTPS://HOST.Example/A", "https://host.example/A", 443),
    ("http://host.example./a", "http://host.example/a", 80),
    ("http://host:80/a", "http://host/a", 80),
    ("https://host:80/a", "https://host:80/a", 80),
    ("https://host:00443/a", "https://host/a", 443),
    ("http://host/a?x=1&y=%2F#part", "http://host/a?x=1&y=%2F", 80),
    ("http://host?x", "http://host/?x", 80),
    ("http://host/%7euser/%61%2fb", "http://host/~user/a%2Fb", 80),
    ("http://bücher.example/", "http://xn--bcher-kva.example/", 80),
    ("http://ＥＸＡＭＰＬＥ。com/", "http://example.com/", 80),
    ("http://8.8.8.8./", "http://8.8.8.8/", 80),
    ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/", 80),
    ("http://[2606:4700:0::1111]:8080/", "http://[2606:4700::1111]:8080/", 8080),
    ("http://[::ffff:127.0.0.1]/", "http://127.0.0.1/", 80),
    ("http://a_b.s3.example/", "http://a_b.s3.example/", 80),
]


@pytest.mark.parametrize("text", REFUSED)
def test_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse(text)
    assert refusal.value.code == "bad-uri"
    assert refusal.value.message
    assert refusal.value.remedy


@pytest.mark.parametrize("text", [text for text in REFUSED if text.startswith("http") and "@host" in text])
def test_a_login_in_the_url_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest, match="user name or password"):
        parse(text)


@pytest.mark.parametrize(("text", "url", "port"), READ)
def test_is_read_as(text: str, url: str, port: int) -> None:
    location = parse(text)
    assert (location.url, location.port) == (url, port)


def test_the_policy_is_told_a_host_without_brackets_and_the_path_without_its_query() -> None:
    target = parse("https://[2606:4700::1111]/a?b").target
    assert target == Target(scheme="https", host="2606:4700::1111", port=443, path="/a")


@pytest.mark.parametrize(
    "text", ["http://host/a?token=hunter2", "http://host/a b?token=hunter2", "http://host/a?token=hunter2|"]
)
def test_a_query_is_never_shown(text: str) -> None:
    try:
        location = parse(text)
        said = location.shown + repr(location)
    except BadRequest as refusal:
        said = refusal.message + refusal.remedy
    assert "hunter2" not in said


def test_a_redirect_may_be_relative() -> None:
    start = parse("https://host.example/a/b?c")
    assert redirected(start, "../d?e").url == "https://host.example/d?e"
    assert redirected(start, "//other.example/f").host == "other.example"


@pytest.mark.parametrize(
    "reference", ["ht\ntp://a/", "\thttp://127.0.0.1/", "http://[::1", "http://user@host/", "file:///a"]
)
def test_a_redirect_is_read_as_strictly(reference: str) -> None:
    with pytest.raises(BadRequest):
        redirected(parse("http://host/"), reference)


_labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_hosts = st.lists(_labels, min_size=1, max_size=4).map(".".join) | st.ip_addresses().map(
    lambda address: str(address) if address.version == 4 else f"[{address}]"
)
_urls = st.builds(
    lambda scheme, host, port, path, query: f"{scheme}://{host}{port}/{quote(path)}?{quote(query)}",
    st.sampled_from(["http", "https", "HTTP"]),
    _hosts,
    st.just("") | st.integers(1, 65535).map(lambda port: f":{port}"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


def _read(text: str) -> Location | None:
    try:
        return parse(text)
    except BadRequest:
        return None


@settings(deadline=None)
@given(_urls | st.text(max_size=40).map(lambda text: f"http://{text}"))
@example("http://xn--a/")
@example("http://xn--0000h/")
def test_reading_twice_is_reading_once_and_the_client_reads_the_same(text: str) -> None:
    location = _read(text)
    if location is None:
        return
    assert parse(location.url) == location
    client = httpx.URL(location.url)
    assert client.raw_host.decode() == location.host
    assert (client.port or location.port) == location.port
    assert client.raw_path.decode() == location.path + location.query
