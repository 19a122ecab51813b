"""Statements that want all memory, time or processors: each is stopped, and others are answered meanwhile."""

from __future__ import annotations

import json

import pytest
from tests.servers.postgres.conftest import command
from tests.servers.postgres.siege import BOSS, FIT, Attacker, Fortress, in_turn
from tests.transports.host import until

MEMORY = 150 * 1024 * 1024
"""Of the server's process, which takes 45 MiB with asyncpg."""

LONG = {
    "a gigabyte, nearly": "SELECT repeat('x', 900000000)",
    "long bytes": "SELECT decode(repeat('ff', 100000000), 'hex')",
    "a long array": "SELECT array_fill('abc'::text, ARRAY[3000000])",
    "long json": "SELECT to_json(repeat('x', 100000000))",
    "a long value in a wide row": f"SELECT {'1, ' * 900} repeat('x', 200000000)",
    "many long values": "SELECT " + ", ".join(["repeat('x', 900000)"] * 60),
    "many long rows": "SELECT repeat('x', 90000) FROM generate_series(1, 100000)",
    "an error about a long value": "SELECT repeat('x', 300000000)::int",
    "an error about long json": "SELECT ('[' || repeat('x', 100000000))::json",
    "an error about a long date": "SELECT repeat('1', 100000000)::date",
    "an error with a long name": f"SELECT {'x' * 90000} FROM customers",
    "a plan with a long constant": "EXPLAIN SELECT 1 FROM customers WHERE name = repeat('x', 60000000)",
    "a plan of many lines": "EXPLAIN SELECT 1 FROM customers WHERE name IN ("
    + ", ".join(["repeat('x', 90000)"] * 200)
    + ")",
    "deep json": "SELECT (repeat('[', 900) || repeat(']', 900))::json",
    "deeper json": "SELECT (repeat('[', 6000) || repeat(']', 6000))::json",
    "deep parentheses": f"SELECT {'(' * 20000}1{')' * 20000}",
    "a long sum": f"SELECT {'+'.join(['1'] * 40000)}",
    "long SQL": f"SELECT 1 {'-- x' * 300000}",
    "many values": f"VALUES {','.join(['(1)'] * 24000)}",
    "a long list": f"SELECT 1 WHERE 1 IN ({','.join(['1'] * 45000)})",
    "quotes without an end": "SELECT E'" + "\\'" * 45000,
    "comments without an end": "SELECT " + "/*" * 45000,
    "dollars without an end": "SELECT " + "$a" * 45000,
}
ENDLESS = {
    "a product": "SELECT count(*) FROM big a, big b, big c",
    "a recursion": "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT count(*) FROM r",
    "a recursion that grows": "WITH RECURSIVE r (n) AS (SELECT 'x' UNION ALL SELECT n || n FROM r) TABLE r LIMIT 99",
    "a regex": "SELECT count(*) FROM big a, big b WHERE a.body || b.body ~ '(x*)*(x*)*y'",
    "LIKE": "SELECT count(*) FROM big a, big b WHERE a.body LIKE repeat('%x', 90) || b.id",
    "a series": "SELECT count(*) FROM generate_series(1, 1000000000000)",
    "a sort": "SELECT a.id FROM big a, big b ORDER BY a.body || b.body LIMIT 1",
    "a big number": "SELECT factorial(30000) * factorial(30000) > 0, count(*) FROM generate_series(1, 9000000000)",
    "a window": "SELECT sum(count(*)) OVER () FROM big a, big b GROUP BY a.id, b.id",
    "an array that grows": "SELECT array_agg(a.body) FROM big a, big b",
    "a text that grows": "SELECT length(string_agg(a.body, '')) FROM big a, big b",
    "LATERAL": "SELECT count(*) FROM big a, LATERAL (SELECT count(*) FROM big b WHERE b.id > a.id) x, big c",
}
WORKING = (
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH%' "
    "AND application_name = 'mcp-server-postgres'"
)


@pytest.mark.slow
@pytest.mark.parametrize("what", LONG)
@in_turn
def test_what_is_too_long_is_cut_or_refused_in_little_memory(
    fortress: Fortress, role: str, era: str, what: str
) -> None:
    attacker = fortress.attacker(role, era)
    answered, text = attacker.ask(LONG[what])  # the host waits for no more than ten seconds
    assert len(text) < 250_000
    assert attacker.host.memory() < MEMORY
    assert answered or "PostgreSQL" in text or "longer than" in text or "Stopped after" in text, text[:300]
    attacker.leave()


@pytest.mark.slow
@pytest.mark.parametrize("what", ENDLESS)
@in_turn
def test_what_has_no_end_is_stopped_while_others_are_answered(
    fortress: Fortress, role: str, era: str, what: str
) -> None:
    attacker = fortress.attacker(role, era, ("--query-timeout", "1.5"))
    asked = attacker.wire.ask("tools/call", name="query", arguments={"sql": ENDLESS[what]})
    answered, text = attacker.ask("SELECT 1 AS quick")
    assert answered, text
    answer = attacker.host.answer(asked)["result"]
    said = json.dumps(answer)
    assert answer.get("isError"), said[:300]
    assert "Stopped after 1.5 s" in said or "PostgreSQL" in said, said[:300]
    until(lambda: command(fortress.shop.superuser, WORKING) == [(0,)])
    assert attacker.host.memory() < MEMORY
    fortress.settle()


def test_honest_long_answers_come_whole(fortress: Fortress) -> None:
    wire = fortress.attacker(FIT, "legacy").wire
    assert wire.query("SELECT repeat('x', 90000)")["rows"] == [["x" * 90000]]
    assert wire.query("SELECT repeat('x', 90) FROM big LIMIT 100")["rows"] == [["x" * 90]] * 100
    ((nested,),) = wire.query("SELECT (repeat('[', 60) || repeat(']', 60))::json")["rows"]
    assert str(nested) == "[" * 60 + "]" * 60
    wide = wire.query("SELECT " + ", ".join(f"'v{number}'" for number in range(1500)))
    assert wide["rows"] == [[f"v{number}" for number in range(1500)]]


def test_an_error_that_is_cut_still_says_what_is_wrong(fortress: Fortress) -> None:
    with fortress.start(BOSS) as host:
        said = Attacker(fortress, host, "legacy").refused("SELECT repeat('x', 100000)::int")
        assert said.startswith('PostgreSQL: invalid input syntax for type integer: "xxx')
        assert len(said) < 1200
