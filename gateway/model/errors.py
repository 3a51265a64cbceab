"""Every refusal this program can give, as one tree.

A refusal says what happened, to which thing, and what to do now. The `code` is stable and meant for programs;
`message` and `remedy` are meant for people; `status` is the HTTP status the Images API uses for that case.
Nothing below `api` knows HTTP beyond that hint.
"""

from __future__ import annotations


class Refusal(Exception):
    """An error said to a caller, by name.

    `rule` names the rule (`policy/id`) that refuses this very caller; `decision` is the id under which
    the decision log holds the details.
    """

    status = 400
    code = "bad-request"

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str | None = None,
        rule: str | None = None,
        decision: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.rule = rule
        self.decision = decision
        if code is not None:
            self.code = code


class BadRequest(Refusal):
    """400: the request itself is wrong; sending it again will not help."""


class NotAuthenticated(Refusal):
    status = 401
    code = "not-authenticated"


class Forbidden(Refusal):
    status = 403
    code = "forbidden"


class PolicyRefused(Forbidden):
    """403: a policy decision; `code` is the decision's reason code."""

    code = "not-granted"


class NotFound(Refusal):
    status = 404
    code = "not-found"


class NotAllowedHere(Refusal):
    """405: the resource exists, the verb does not."""

    status = 405
    code = "method-not-allowed"


class Conflict(Refusal):
    status = 409
    code = "conflict"


class WrongOffset(Conflict):
    """The bytes of a request belong elsewhere in their upload than it says; both are in bytes."""

    code = "mismatching-upload-offset"

    def __init__(self, *, expected: int, provided: int) -> None:
        super().__init__(
            f"The upload has {expected} bytes, so its next byte is not byte {provided}.",
            remedy="Ask for the offset (HEAD), and go on from there.",
        )
        self.expected = expected
        self.provided = provided


class UploadOpen(Conflict):
    """The image is being uploaded to already; `upload_id` can be gone on with."""

    code = "upload-open"

    def __init__(self, image_id: str, upload_id: str) -> None:
        super().__init__(
            f"Image {image_id} has an open upload.", remedy=f"Go on with it, or end it: DELETE .../stage/{upload_id}."
        )
        self.image_id = image_id
        self.upload_id = upload_id


class Gone(Refusal):
    status = 410
    code = "gone"


class UnknownVersion(Refusal):
    """A protocol's version that is not spoken here."""

    status = 412
    code = "unknown-version"


class TooLarge(Refusal):
    status = 413
    code = "too-large"


class WrongMediaType(Refusal):
    status = 415
    code = "wrong-media-type"


class RangeNotSatisfiable(Refusal):
    status = 416
    code = "range-not-satisfiable"

    def __init__(self, message: str, *, size: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.size = size


class HeadersTooLarge(Refusal):
    status = 431
    code = "headers-too-large"


class Unavailable(Refusal):
    """503: nothing is wrong with the request; a part of the service is away for now."""

    status = 503
    code = "unavailable"


class ContentRefused(Refusal):
    """The bytes themselves were refused by a stage; `code` names the finding (`format-mismatch`, `backing-file`...).

    415 is what Glance answers for an upload whose content fails its checks.
    """

    status = 415
    code = "content-refused"


class OverLimit(TooLarge):
    """More bytes arrived than the decision grants."""

    code = "over-limit"


class OverQuota(TooLarge):
    """The project would have more than a quota of its policy lets it have."""

    code = "over-quota"


class SourceRefused(Refusal):
    """A source may not be fetched, or could not be: `code` tells which (`source-refused`, `source-failed`...).

    `transient` where the same fetch may succeed later: the import tries again before it gives up.
    """

    code = "source-refused"

    def __init__(self, message: str, *, remedy: str = "", code: str | None = None, transient: bool = False) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.transient = transient


class BrokenUpload(Refusal):
    """The client went away or sent fewer bytes than it announced."""

    code = "broken-upload"


class Cancelled(Refusal):
    """The import's image was deleted, or another attempt took over."""

    status = 409
    code = "cancelled"


class Interrupted(Unavailable):
    """This process is ending. An upload has to be sent again; an import goes on in the next process."""

    code = "interrupted"
