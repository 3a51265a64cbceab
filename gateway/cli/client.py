"""The few calls of the Images API v2 an import needs. Errors come back as refusals, with their message and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from gateway.cli.logins import Login
from gateway.model.errors import Conflict, Forbidden, NotAuthenticated, NotFound, Refusal, Unavailable

_TIMEOUT = httpx.Timeout(30.0, read=600.0)
"""A staged image is answered once it is on disk, which may take a while."""

_KINDS: Mapping[int, type[Refusal]] = {
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    **dict.fromkeys((502, 503, 504), Unavailable),
}
"""Refusals somebody here looks for. The last three come from a service, or a proxy before it, that is away."""

_TUS = {"Tus-Resumable": "1.0.0"}
_BREAK_GLASS = "/v2/info/import/break-glass"
_APPROVALS = "/v2/info/import/approvals"
_LOGIN = "Say who you are: --user and --password, or --cloud."
_ADDRESS = "Check the URL: it has to be the root of an image service."


class ImagesClient:
    """A client for one image service, over one connection pool. Every call raises a Refusal for any failure."""

    def __init__(self, login: Login) -> None:
        self.endpoint = re.sub(r"/v2(\.\d+)?/?$", "", login.endpoint.rstrip("/"))
        self._http = httpx.Client(
            base_url=self.endpoint,
            auth=login.auth,
            verify=login.verify,
            timeout=_TIMEOUT,
            headers={"Accept": "application/json"},
        )

    def __enter__(self) -> ImagesClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def discovery(self) -> Mapping[str, Any]:
        """GET /v2/info/import."""
        return _object(self._call("GET", "/v2/info/import"))

    def what_if(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """POST /v2/info/import/what-if."""
        return _object(self._call("POST", "/v2/info/import/what-if", json=question))

    def break_glass(self) -> Mapping[str, Any]:
        """GET /v2/info/import/break-glass: what may be opened, and what is open."""
        return _object(self._call("GET", _BREAK_GLASS))

    def open_break_glass(self, wanted: Mapping[str, str]) -> Mapping[str, Any]:
        """POST of the same: `wanted` holds rule, reason, duration and, for administrators, project_id."""
        return _object(self._call("POST", _BREAK_GLASS, json=wanted))

    def close_break_glass(self, opening_id: str) -> None:
        self._call("DELETE", f"{_BREAK_GLASS}/{quote(opening_id, safe='')}")

    def approvals(self) -> Sequence[Mapping[str, Any]]:
        """GET /v2/info/import/approvals: the imports that wait for this caller, oldest first."""
        return list(_object(self._call("GET", _APPROVALS))["approvals"])

    def decide(self, import_id: str, decision: str, reason: str) -> None:
        """POST about one of them: `decision` is approve or refuse."""
        body = {"decision": decision, **({"reason": reason} if reason else {})}
        self._call("POST", f"{_APPROVALS}/{quote(import_id, safe='')}", json=body)

    def create(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return _object(self._call("POST", "/v2/images", json=values))

    def stage(self, image_id: str, blocks: Iterable[bytes], size: int) -> None:
        """PUT /v2/images/{id}/stage. The size is announced, so that a claim over the limit costs no bytes."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "X-OpenStack-Image-Size": str(size),
        }
        self._call("PUT", f"/v2/images/{image_id}/stage", content=blocks, headers=headers)

    def begin_upload(self, image_id: str, size: int) -> str:
        """POST /v2/images/{id}/stage by tus: the path of a resumable upload of so many bytes."""
        headers = {**_TUS, "Upload-Length": str(size)}
        return str(self._call("POST", f"/v2/images/{image_id}/stage", headers=headers).headers["location"])

    def upload_offset(self, upload: str) -> int:
        """HEAD of an upload: how much of it is there. Raises what it was refused with."""
        try:
            return int(self._call("HEAD", upload, headers=_TUS).headers["upload-offset"])
        except Unavailable:
            raise
        except Refusal:
            # An answer to HEAD has no words; asked so, the upload repeats those it was refused with.
            self.append(upload, (), 0, 0)
            raise

    def append(self, upload: str, blocks: Iterable[bytes], offset: int, size: int) -> None:
        """PATCH of an upload with its rest: the bytes from `offset` to `size`."""
        headers = {
            **_TUS,
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(size - offset),
            "Upload-Offset": str(offset),
        }
        self._call("PATCH", upload, content=blocks, headers=headers)

    def start_import(self, image_id: str, method: Mapping[str, str]) -> None:
        self._call("POST", f"/v2/images/{image_id}/import", json={"method": method})

    def image(self, image_id: str) -> Mapping[str, Any]:
        return _object(self._call("GET", f"/v2/images/{image_id}"))

    def tasks(self, image_id: str) -> list[Mapping[str, Any]]:
        """The image's tasks, newest first."""
        tasks = _object(self._call("GET", f"/v2/images/{image_id}/tasks")).get("tasks", [])
        return sorted(tasks, key=lambda task: str(task.get("created_at")), reverse=True)

    def delete(self, image_id: str) -> None:
        self._call("DELETE", f"/v2/images/{image_id}")

    def stops(self, *, lifted: bool = False) -> list[Mapping[str, Any]]:
        """GET /v2/info/import/stops."""
        path = "/v2/info/import/stops"
        return list(_object(self._call("GET", path, params={"all": "true"} if lifted else {})).get("stops", []))

    def add_stop(self, stop: Mapping[str, str]) -> Mapping[str, Any]:
        return _object(self._call("POST", "/v2/info/import/stops", json=stop))

    def lift_stop(self, stop_id: str, reason: str) -> Mapping[str, Any]:
        return _object(
            self._call("DELETE", f"/v2/info/import/stops/{quote(stop_id, safe='')}", params={"reason": reason})
        )

    def _call(self, verb: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(verb, path, **more)
        except httpx.TransportError as error:
            raise Unavailable(
                f"The image service at {self.endpoint} does not answer: {_cause(error)}.",
                remedy="Check the address, or start one with `import-gateway serve`.",
                code="no-answer",
            ) from None
        except httpx.InvalidURL as error:
            raise Refusal(f"{self.endpoint!r} is no URL: {error}.", remedy="Write http://HOST:PORT.") from None
        if not answer.is_success:
            raise refusal_of(answer)
        return answer


def refusal_of(answer: httpx.Response) -> Refusal:
    """The refusal an error response carries: this service's nested form, or whatever text another one sends."""
    said = _error(answer)
    remedy = str(said.get("remedy") or (_LOGIN if answer.status_code == 401 else ""))
    message = str(said.get("message") or f"The service answered {answer.status_code} {answer.reason_phrase}.")
    # The service repeats the remedy at the end of its message, for clients that print nothing else.
    message = message.replace("<br />", " ").strip().removesuffix(remedy).strip()
    kind = _KINDS.get(answer.status_code, Refusal)
    refusal = kind(message, remedy=remedy, code=str(said.get("reason") or answer.status_code))
    refusal.status = answer.status_code
    return refusal


def _error(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        text = re.sub(r"<[^>]+>|\s+", " ", answer.text[:2000]).strip()
        return {"message": text, "remedy": _ADDRESS}
    if not isinstance(body, dict):
        return {}
    error = body.get("error", body)
    return error if isinstance(error, dict) else {}


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(
            f"{answer.request.url} answered something that is not the Images API.",
            remedy=_ADDRESS,
        )
    return body


def _cause(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
