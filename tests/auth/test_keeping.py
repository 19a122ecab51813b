"""Where tokens are kept."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.auth.resource import URL
from tests.auth.visit import World
from tests.stage import scene

from mcp_kernel.auth import Account, FileStore
from mcp_kernel.auth.tokens import default_path
from mcp_kernel.errors import AuthorizationError

ACCOUNT = Account(URL, "https://auth.example", "me", access_token="a", requested=("x", "y"), expires=12.5)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@scene
async def test_an_account_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tokens.json"
    await FileStore(path).save(ACCOUNT)
    assert await FileStore(path).load(URL, "https://auth.example") == ACCOUNT
    assert await FileStore(path).load(URL) == ACCOUNT
    assert await FileStore(path).load(URL, "https://other.example") is None
    assert await FileStore(path).load("https://other.example/mcp") is None


@scene
async def test_only_the_owner_can_read_the_file_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "own" / "tokens.json"
    former = os.umask(0)
    try:
        await FileStore(path).save(ACCOUNT)
        await FileStore(path).save(replace(ACCOUNT, access_token="b"))
    finally:
        os.umask(former)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@scene
async def test_each_issuer_has_its_own_account_and_the_last_one_counts(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "tokens.json")
    other = replace(ACCOUNT, issuer="https://other.example")
    await store.save(ACCOUNT)
    await store.save(other)
    assert await store.load(URL) == other
    await store.save(ACCOUNT)
    assert await store.load(URL) == ACCOUNT
    assert await store.load(URL, other.issuer) == other


@scene
async def test_stores_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    accounts = [replace(ACCOUNT, issuer=f"https://auth{number}.example") for number in range(12)]
    await asyncio.gather(*(FileStore(path).save(account) for account in accounts))
    assert all([await FileStore(path).load(URL, account.issuer) == account for account in accounts])
    assert names(tmp_path) == [".tokens.json.lock", "tokens.json"]


@scene
async def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokens.json"
    await FileStore(path).save(ACCOUNT)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(AuthorizationError, match="No space left"):
        await FileStore(path).save(replace(ACCOUNT, access_token="b"))
    assert await FileStore(path).load(URL) == ACCOUNT
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"accounts": [{"nonsense": 1}]}', '{"accounts": [[]]}'])
@scene
async def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    with pytest.raises(AuthorizationError, match="no file of tokens"):
        await FileStore(path).load(URL)
    with pytest.raises(AuthorizationError, match="no file of tokens"):
        await FileStore(path).save(ACCOUNT)
    assert path.read_text() == text


@scene
async def test_a_token_survives_the_process_in_the_users_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    world = World()
    for _ in range(2):
        assert (await world.call(store=None)).status_code == 200
    assert len(world.shown) == 1
    (kept,) = json.loads(default_path().read_text())["accounts"]
    assert (kept["server_url"], kept["issuer"]) == (URL, "https://auth.example")


@scene
async def test_the_account_of_another_client_is_not_used() -> None:
    world = World()
    await world.store.save(replace(ACCOUNT, expires=0.0, redirect_uri="http://127.0.0.1:9/other"))
    assert (await world.call()).status_code == 200
    assert "a" not in world.resource.tokens
    assert world.shown[0].params["client_id"] == "client-1"
