"""`import-gateway import`: create the record, bring the bytes, follow the import, compare the hash."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from gateway.cli.connection import CloudOption, Connection, JsonOption, PasswordOption, UrlOption, UserOption

SourceArgument = Annotated[str, typer.Argument(metavar="FILE|URL", help="An image file, or the URL of one.")]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the image.", show_default="that of the file")]
DiskFormatOption = Annotated[
    str | None, typer.Option("--disk-format", help="Such as qcow2, raw, iso.", show_default="as the file shows")
]
ContainerFormatOption = Annotated[str, typer.Option("--container-format", help="Such as bare, ova.")]
PropertyOption = Annotated[
    list[str] | None, typer.Option("--property", metavar="KEY=VALUE", help="A property of the image; repeatable.")
]
VisibilityOption = Annotated[
    str | None, typer.Option("--visibility", help="private, shared, community or public.", show_default="the service's")
]
MethodOption = Annotated[
    str | None, typer.Option("--method", help="Import method.", show_default="glance-direct, or web-download for a URL")
]
CredentialOption = Annotated[
    str | None, typer.Option("--credential", metavar="NAME", help="One of the service's, to show to the source.")
]
MoreOption = Annotated[
    list[str] | None,
    typer.Option("--method-option", metavar="KEY=VALUE", help="Such as source=NAME or title=FILE; repeatable."),
]
KeepOption = Annotated[bool, typer.Option("--keep", help="Keep the image record if the import fails or is stopped.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the image's id and nothing else.")]


# Its length is its options and their help: the command line is read from this signature, and the work is `Run`'s.
def import_image(
    source: SourceArgument,
    name: NameOption = None,
    disk_format: DiskFormatOption = None,
    container_format: ContainerFormatOption = "bare",
    property: PropertyOption = None,  # noqa: A002 - the option's name
    visibility: VisibilityOption = None,
    method: MethodOption = None,
    credential: CredentialOption = None,
    method_option: MoreOption = None,
    keep: KeepOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    cloud: CloudOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
) -> None:
    """Import an image from a FILE of this machine or from a URL: http(s), s3://BUCKET/KEY or oci://REGISTRY/NAME:TAG.

    Asks first whether the service would take it, then creates the record, brings the bytes, and follows the import
    until the image is active. A file's hash is compared with the service's. If the import fails or is stopped
    (Ctrl-C), the record is deleted again unless --keep is given.

    A file goes on after a broken connection or a restart of the service by itself. If this command is killed, or the
    service stays away, the same command goes on with what has been sent.

    Exit code: 0 the image is active, 1 refused or failed, 2 used wrongly, 130 stopped.
    """
    from gateway.cli.running import Run, Wish
    from gateway.cli.sources import source_of

    named = {"credential": credential} if credential else {}
    wanted = source_of(source, {**dict(pair(text) for text in method_option or ()), **named})
    wish = Wish(
        source=wanted,
        method=wanted.request(method or wanted.method),
        name=name or wanted.name,
        disk_format=disk_format or wanted.disk_format(),
        container_format=container_format,
        visibility=visibility,
        properties=dict(pair(text) for text in property or ()),
    )
    _stop_like_ctrl_c()
    with Connection(cloud, url, user, password).open() as client:
        Run(client, wish, keep=keep, quiet=quiet or json, json=json).go()


def pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--property")
    return key, value


def _stop_like_ctrl_c() -> None:
    """`timeout` and supervisors stop a program with SIGTERM; it cleans up just as after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
