"""Rates and buckets, by a clock that the test winds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stage import scene

from mcp_kernel.operations.rates import MemoryBuckets, Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "count", "seconds"), [("1/second", 1, 1), ("60/minute", 60, 60), ("5/hour", 5, 3600), ("9/day", 9, 86400)]
)
def test_a_rate_is_a_number_and_a_period(text: str, count: int, seconds: float) -> None:
    assert parse_rate(text) == Rate(count, seconds)


@pytest.mark.parametrize(
    "text", ["", "60", "0/minute", "-1/minute", "60/fortnight", "1e3/minute", " 1/hour", "1/hour\n"]
)
def test_what_is_no_rate_is_refused_with_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="60/minute"):
        parse_rate(text)


def test_a_rate_reads_like_a_sentence() -> None:
    assert [str(parse_rate(text)) for text in ("60/minute", "1/hour")] == ["60 in a minute", "1 in an hour"]


@scene
async def test_a_bucket_gives_what_it_holds_and_fills_evenly() -> None:
    buckets, demand = MemoryBuckets(), {"ann": Rate(60, 60.0)}
    assert [await buckets.take(demand, 0.0) for _ in range(60)] == [0.0] * 60
    assert await buckets.take(demand, 0.0) == pytest.approx(1.0)
    assert await buckets.take(demand, 0.25) == pytest.approx(0.75)
    assert await buckets.take(demand, 1.0) == 0.0
    assert await buckets.take(demand, 1.0) == pytest.approx(1.0)


@scene
async def test_one_empty_bucket_leaves_the_others_as_they_were() -> None:
    buckets, wide, narrow = MemoryBuckets(), {"ann": Rate(2, 60.0)}, {"ann query": Rate(1, 60.0)}
    assert await buckets.take({**wide, **narrow}, 0.0) == 0.0
    for _ in range(5):
        assert await buckets.take({**wide, **narrow}, 0.0) == pytest.approx(60.0)
    assert await buckets.take(wide, 0.0) == 0.0


@scene
async def test_no_more_buckets_are_kept_than_allowed_and_the_emptiest_stay() -> None:
    buckets = MemoryBuckets(most=100)
    greedy = {"greedy": Rate(10, 60.0)}
    for _ in range(10):
        assert await buckets.take(greedy, 0.0) == 0.0
    for number in range(1000):
        assert await buckets.take({f"guest {number}": Rate(10, 60.0)}, 0.0) == 0.0
        assert len(buckets) <= 100
    assert await buckets.take(greedy, 0.0) > 0


@scene
async def test_full_buckets_are_forgotten() -> None:
    buckets = MemoryBuckets(most=10)
    for number in range(10):
        await buckets.take({f"guest {number}": Rate(1, 1.0)}, 0.0)
    await buckets.take({"late": Rate(1, 1.0)}, 5.0)
    assert len(buckets) == 1


@given(
    count=st.integers(1, 20),
    seconds=st.sampled_from([1.0, 60.0, 3600.0]),
    gaps=st.lists(st.floats(0, 100), min_size=1, max_size=60),
)
def test_in_any_stretch_of_time_no_more_pass_than_the_bucket_and_what_flows_in(
    count: int, seconds: float, gaps: list[float]
) -> None:
    @scene
    async def play() -> None:
        buckets, now, passed = MemoryBuckets(), 0.0, list[float]()
        for gap in gaps:
            now += gap
            wait = await buckets.take({"ann": Rate(count, seconds)}, now)
            if wait == 0.0:
                passed.append(now)
            else:
                assert await buckets.take({"ann": Rate(count, seconds)}, now + wait * 0.99) > 0
        for first, start in enumerate(passed):
            for last, end in enumerate(passed[first:], first):
                assert last - first + 1 <= count + (end - start) * count / seconds + 1e-6

    play()
