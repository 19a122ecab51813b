"""Annotated tags are shown with what they say, as git itself reads them."""

from __future__ import annotations

import pytest
from tests.servers.git.conftest import Opener
from tests.servers.git.forge import Desk, Repo

from mcp_server_git.showing import Shown, read_revision

SIGNATURE = "-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n"


def show(desk: Desk, revision: str, cursor: str | None = None) -> Shown:
    return desk.run(read_revision(desk.repository, revision, cursor))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("revision", ["v1", "tags/v1", "refs/tags/v1"])
def test_an_annotated_tag_is_shown_with_its_commit(desk: Opener, repo: Repo, packed: bool, revision: str) -> None:
    repo.git("tag", "-a", "v1", "-m", "Version one\n\nWith a café.", "HEAD~1")
    if packed:
        repo.git("gc", "--quiet")
    shown = show(desk(repo), revision)
    form = "--format=%(taggername)%00%(taggeremail:trim)%00%(taggerdate:iso-strict)%00%(contents)"
    name, email, date, message = repo.git("for-each-ref", form, "refs/tags/v1").decode().split("\0")
    assert shown.tag is not None
    found = (shown.tag.tagger, shown.tag.tagger_email, shown.tag.date, shown.tag.message)
    assert found == (name, email, date, message.rstrip())
    assert str(shown).startswith(f"Tag: v1\nTagger: {name} <{email}>\nDate: {date}\nMessage: Version one\n")
    assert shown.commit is not None
    assert shown.commit.message.strip() == "first"


def test_what_is_but_a_name_says_nothing(desk: Opener, repo: Repo) -> None:
    repo.git("tag", "light")
    repo.git("tag", "-a", "heavy", "-m", "says")
    repo.git("branch", "heavy-too")
    for name in ("light", "HEAD", "main", "heavy-too", repo.say("rev-parse", "HEAD"), "heavy~1"):
        assert show(desk(repo), name).tag is None


def test_a_signature_is_told_of_and_taken_out(desk: Opener, repo: Repo) -> None:
    commit = repo.say("rev-parse", "HEAD")
    body = f"object {commit}\ntype commit\ntag v1\ntagger A B <a@b> 1700000000 -0330\n\nSigned.\n{SIGNATURE}"
    identity = repo.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=body.encode()).decode().strip()
    repo.git("update-ref", "refs/tags/v1", identity)
    tag = show(desk(repo), "v1").tag
    assert tag is not None
    assert (tag.message, tag.signed, tag.date) == ("Signed.", True, "2023-11-14T18:43:20-03:30")
    assert "the signature was not checked" in str(tag)


def test_a_tag_without_a_tagger_is_shown(desk: Opener, repo: Repo) -> None:
    commit = repo.say("rev-parse", "HEAD")
    body = f"object {commit}\ntype commit\ntag old\n\nVery old.\n"
    identity = repo.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=body.encode()).decode().strip()
    repo.git("update-ref", "refs/tags/old", identity)
    assert str(show(desk(repo), "old").tag) == "Tag: old\nMessage: Very old.\n"


def test_a_long_message_leaves_room_for_the_commit(desk: Opener, repo: Repo) -> None:
    repo.git("tag", "-a", "long", "-F", "-", stdin=b"A line of it.\n" * 10_000)
    opened = desk(repo, max_bytes=6_000)
    shown = show(opened, "long")
    assert shown.tag is not None
    assert "[The message is cut; it has 139999 characters.]" in shown.tag.message
    assert "+two" in shown.text
    assert len(str(shown).encode()) < 6_000
