"""What several processes hold their callers to together: calls at once, and proofs of keys that are good once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.auth.bound import FILE, Binder, Prover
from tests.auth.entrance import Entrance
from tests.operations.redis import RedisServer
from tests.stage import scene

from mcp_kernel.operations.redis_link import RedisLink
from mcp_kernel.operations.redis_proofs import RedisProofs
from mcp_kernel.operations.redis_running import RedisRunning
from mcp_kernel.operations.running import Full
from mcp_kernel.server.principal import Knock, Principal, Refusal

if TYPE_CHECKING:
    from pathlib import Path


@scene
async def test_calls_at_once_are_counted_at_all_processes() -> None:
    with RedisServer() as store:
        links = [RedisLink(store.url, "mcp:test") for _ in range(2)]
        here, there = (RedisRunning(link) for link in links)
        first, _ = await here.enter({"ann": 2}), await there.enter({"ann": 2})
        for each in (here, there):
            with pytest.raises(Full) as caught:
                await each.enter({"bob": 5, "ann": 2})
            assert caught.value.most == 2
        await there.enter({"bob": 1})  # the refusals took nothing
        first()
        await links[0].settle()
        await there.enter({"ann": 2})
        with pytest.raises(Full):
            await here.enter({"ann": 2})
        for link in links:
            await link.close()


@scene
async def test_what_a_killed_process_leaves_behind_counts_for_a_lease_and_what_lives_for_longer() -> None:
    with RedisServer() as store:
        killed, living, late = (RedisLink(store.url, "mcp:test", lease=0.6) for _ in range(3))
        await RedisRunning(killed).enter({"ann": 2})
        await RedisRunning(living).enter({"ann": 2})
        await killed.close()  # gives no signs of life from now on
        others = RedisRunning(late)
        with pytest.raises(Full):
            await others.enter({"ann": 2})
        for _ in range(6):  # two leases
            await _pass(late)
        await others.enter({"ann": 2})
        with pytest.raises(Full):
            await others.enter({"ann": 2})
        await living.close()
        await late.close()


async def _pass(link: RedisLink) -> None:
    """Wait for a third of a lease, by the store's clock."""
    await link.redis.blpop(["mcp:test:nothing"], timeout=link.lease / 3)  # pyright: ignore[reportUnknownMemberType, reportGeneralTypeIssues]  # it has no types


@scene
async def test_without_the_store_each_process_counts_its_own_calls() -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        running = RedisRunning(link)
        leave = await running.enter({"ann": 1})
        store.kill()
        with pytest.raises(Full):
            await running.enter({"ann": 1})
        leave()
        (await running.enter({"ann": 1}))()
        await link.close()


@scene
async def test_a_proof_is_good_once_at_all_processes(tmp_path: Path) -> None:
    with RedisServer() as store:
        links = [RedisLink(store.url, "mcp:test") for _ in range(2)]
        binder = Binder(tmp_path, proofs=RedisProofs(links[0]))
        (tmp_path / "there").mkdir()
        there = Entrance(tmp_path / "there", FILE, make_verifier=binder.verifier, proofs=RedisProofs(links[1]))
        prover = Prover()
        token = binder.token(cnf={"jkt": prover.thumbprint})

        def come(proof: str) -> Knock:
            pairs = ((b"authorization", f"DPoP {token}".encode()), (b"dpop", proof.encode()))
            return Knock("POST", "/mcp", b"", pairs, "https", "127.0.0.1")

        first, second = (prover.prove(token, binder.now(), jti=name) for name in "ab")
        assert isinstance(await binder.entrance.gate.admit(come(first)), Principal)
        refused = await there.gate.admit(come(first))
        assert isinstance(refused, Refusal)
        assert (refused.status, refused.reason) == (401, "The proof was used before (jti)")
        assert isinstance(await there.gate.admit(come(second)), Principal)
        assert 60_000 < int(await links[0].redis.pttl((await links[0].redis.keys("mcp:test:p:*"))[0])) <= 70_000  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # it has no types
        store.kill()  # each process has its own memory alone
        assert isinstance(await binder.entrance.gate.admit(come(first)), Refusal)
        for link in links:
            await link.close()
