"""Subscribers hear of changes that anybody makes, once for each, in both eras."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.filesystem.desk import SERVER, Desk, Json
from tests.transports.host import META, Host, notification
from tests.transports.worlds import in_a_world_without_watches

from mcp_server_filesystem.addresses import to_uri

UPDATED = "notifications/resources/updated"


def subscribe(host: Host, era: str, uri: str) -> None:
    if era == "legacy":
        host.request("resources/subscribe", uri=uri)
        return
    host.ask("subscriptions/listen", notifications={"resourceSubscriptions": [uri]}, _meta=META)
    host.hear(lambda message: message.get("method") == "notifications/subscriptions/acknowledged")


def hear(host: Host) -> str:
    """The URI of the next change."""
    uri: str = host.hear(lambda message: message.get("method") == UPDATED)["params"]["uri"]
    return uri


def is_silent(host: Host) -> bool:
    return not host.has_line(0.25)


def replace(path: Path) -> None:
    (path.parent / "new").write_text("atomic\n")
    (path.parent / "new").rename(path)


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("more\n")


def write_slowly(path: Path) -> None:
    """Write for a third of a second, without a pause."""
    end = time.monotonic() + 0.3
    with path.open("a") as file:
        while time.monotonic() < end:
            file.write("more\n" * 100)
            file.flush()
        file.truncate(100)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_one_change_of_a_file_is_one_notification(served: Path, era: str) -> None:
    changes: list[Callable[[Path], None]] = [replace, append, Path.unlink, Path.touch, write_slowly, append]
    with Host([*SERVER, str(served)]) as host:
        host.open()
        uri = (served / "a.txt").as_uri()
        subscribe(host, era, uri)
        for change in changes:
            change(served / "a.txt")
            assert hear(host) == uri
            assert is_silent(host)
        (served / "other.txt").write_text("x")
        assert is_silent(host)


def test_a_write_of_the_server_itself_is_one_notification(served: Path) -> None:
    with Host([*SERVER, str(served)]) as host:
        desk = Desk(host.open(), "legacy")
        file, folder = (served / "a.txt").as_uri(), (served / "inner").as_uri()
        subscribe(host, "legacy", file)
        subscribe(host, "legacy", folder)
        desk.data("write_file", path="a.txt", content="new\n")
        assert hear(host) == file
        assert is_silent(host)
        desk.data("write_file", path="inner/b.txt", content="new\n")
        assert hear(host) == folder
        assert is_silent(host)


def test_a_second_subscription_hears_of_what_is_written_at_once(served: Path) -> None:
    with Host([*SERVER, str(served)]) as host:
        host.open()
        subscribe(host, "legacy", (served / "inner" / "b.txt").as_uri())
        later = (served / "later.txt").as_uri()
        subscribe(host, "legacy", later)
        (served / "later.txt").write_text("x")
        assert hear(host) == later
        subscribe(host, "legacy", (served / "a.txt").as_uri())
        append(served / "a.txt")
        assert hear(host) == (served / "a.txt").as_uri()


def test_nothing_is_told_of_what_is_outside_or_denied(served: Path) -> None:
    (served / ".env").write_text("KEY=1")
    (served / "out").symlink_to("../outside/secret.txt")
    secret = served.parent / "outside" / "secret.txt"
    with Host([*SERVER, str(served)]) as host:
        host.open()
        for path in (secret, served / ".env", served / "out", served / "a.txt"):
            subscribe(host, "legacy", path.as_uri())
        for path in (secret, served / ".env"):
            append(path)
        assert is_silent(host)
        append(served / "a.txt")
        assert hear(host) == (served / "a.txt").as_uri()
        assert is_silent(host)


def test_roots_of_the_client_do_not_narrow_a_subscription(served: Path) -> None:
    roots: Json = {"roots": [{"uri": (served / "inner").as_uri()}]}
    with Host([*SERVER, str(served)]) as host:
        host.open(roots={})
        question = host.hear(lambda message: message.get("method") == "roots/list")
        host.send({"jsonrpc": "2.0", "id": question["id"], "result": roots})
        subscribe(host, "legacy", (served / "a.txt").as_uri())
        append(served / "a.txt")
        assert hear(host) == (served / "a.txt").as_uri()
        host.send(notification("notifications/roots/list_changed"))
        question = host.hear(lambda message: message.get("method") == "roots/list")
        host.send({"jsonrpc": "2.0", "id": question["id"], "result": roots})


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_system_that_has_no_more_watches_to_give_is_looked_at_all_the_same(served: Path, era: str) -> None:
    with Host(in_a_world_without_watches([*SERVER, str(served)])) as host:
        host.open()
        uris = [(served / name).as_uri() for name in ("a.txt", "inner/b.txt")]
        for uri in uris:
            subscribe(host, era, uri)
        for path, uri in (
            (served / "a.txt", uris[0]),
            (served / "inner" / "b.txt", uris[1]),
            (served / "a.txt", uris[0]),
        ):
            append(path)
            assert hear(host) == uri


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_what_lies_in_a_directory_whose_name_is_not_utf_8_is_watched_too(served: Path, era: str) -> None:
    path = served / os.fsdecode(b"bad\xff") / "b.txt"
    path.parent.mkdir()
    path.write_text("x")
    with Host([*SERVER, str(served)]) as host:
        host.open()
        uris = {each: to_uri(str(each)) for each in (path, served / "a.txt")}
        for uri in uris.values():
            subscribe(host, era, uri)
        for each in (path, served / "a.txt", path):
            append(each)
            assert hear(host) == uris[each]
        read = host.request("resources/read", uri=uris[path], **({"_meta": META} if era == "modern" else {}))
        assert read["contents"][0]["uri"] == uris[path]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_name_that_is_not_utf_8_ends_no_subscription(served: Path, era: str) -> None:
    with Host([*SERVER, str(served)]) as host:
        host.open()
        uri = (served / "a.txt").as_uri()
        subscribe(host, era, uri)
        for name in (b"bad\xff.txt", b"worse\xfe"):
            (served / os.fsdecode(name)).write_text("x")
            append(served / "a.txt")
            assert hear(host) == uri
