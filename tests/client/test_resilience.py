"""When to call again: a table of failures and waits, with the clock and the dice in the test's hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mcp_kernel.client.failures import CircuitOpen
from mcp_kernel.client.resilience import Attempts, Breaker, Budget, Resilience, parse_retry_after

EPOCH = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples


def highest() -> float:
    return 1.0


def attempts(settings: Resilience | None = None, dice: Callable[[], float] = highest) -> Attempts:
    settings = settings or Resilience()
    return Attempts(settings, Budget(settings), dice)


def again(call: Attempts, retry_after: float | None = None) -> float | None:
    return call.after_failure(transient=True, safe_to_repeat=True, retry_after=retry_after)


def refusal(breaker: Breaker, now: float) -> float:
    with pytest.raises(CircuitOpen) as caught:
        breaker.admit(now)
    return caught.value.retry_in


def fail(breaker: Breaker, now: float, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(now, breaker.admit(now))


@pytest.mark.parametrize(
    ("transient", "safe_to_repeat", "retry_after", "wait"),
    [
        (True, True, None, 0.25),
        (True, True, 7.0, 7.0),
        (True, True, 0.0, 0.0),
        (True, True, 60.0, 60.0),
        (True, True, 60.5, None),
        (True, False, None, None),
        (True, False, 1.0, None),
        (False, True, None, None),
        (False, False, None, None),
    ],
)
def test_a_failure_decides_what_comes_next(
    *, transient: bool, safe_to_repeat: bool, retry_after: float | None, wait: float | None
) -> None:
    call = attempts()
    assert call.after_failure(transient=transient, safe_to_repeat=safe_to_repeat, retry_after=retry_after) == wait


def test_a_call_is_tried_four_times_with_doubled_waits() -> None:
    call = attempts()
    assert [again(call) for _ in range(4)] == [0.25, 0.5, 1.0, None]


def test_the_wait_stops_growing_at_its_cap() -> None:
    call = attempts(Resilience(attempts=3000, budget=3000.0))
    waits = [again(call) for _ in range(2999)]
    assert waits[:8] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert waits[-1] == 8.0


def test_the_wait_is_anywhere_between_nothing_and_the_backoff() -> None:
    rolls = iter([0.0, 0.5, 0.99])
    call = attempts(dice=lambda: next(rolls))
    assert [again(call) for _ in range(3)] == [0.0, 0.25, 0.99]


def test_a_wait_that_the_server_asked_for_counts_as_a_try() -> None:
    call = attempts()
    assert [again(call, 2.0), again(call), again(call), again(call)] == [2.0, 0.5, 1.0, None]


def test_a_single_attempt_is_never_repeated() -> None:
    assert again(attempts(Resilience(attempts=1))) is None


def test_many_failing_calls_share_one_budget() -> None:
    settings = Resilience()
    budget = Budget(settings)
    retries = [again(Attempts(settings, budget, highest)) for _ in range(30)]
    # Ten on credit, less the one that was full already, and a tenth of one for each first try.
    assert len([wait for wait in retries if wait is not None]) == 12


def test_ten_first_tries_earn_one_retry() -> None:
    settings = Resilience(budget=1.0)
    budget = Budget(settings)
    assert again(Attempts(settings, budget, highest)) is not None
    calls = [Attempts(settings, budget, highest) for _ in range(10)]
    assert again(calls[0]) is not None
    assert again(calls[1]) is None


def test_a_quiet_time_does_not_pile_up_retries() -> None:
    settings = Resilience(budget=2.0)
    budget = Budget(settings)
    calls = [Attempts(settings, budget, highest) for _ in range(1000)]
    assert [again(call) is not None for call in calls[:3]] == [True, True, False]


def test_a_refused_retry_costs_nothing() -> None:
    settings = Resilience(budget=1.0)
    budget = Budget(settings)
    call = Attempts(settings, budget, highest)
    assert call.after_failure(transient=True, safe_to_repeat=False) is None
    assert again(call, 1000.0) is None
    assert again(call) is not None


@pytest.mark.parametrize("setting", [{"attempts": 0}, {"base": -1.0}, {"open_for": -0.1}])
def test_settings_without_sense_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Resilience(**setting)  # type: ignore[arg-type]  # the wrong values are the point


def test_the_circuit_opens_after_five_failures_in_a_row() -> None:
    breaker = Breaker(Resilience(), "git")
    fail(breaker, 0.0, 4)
    breaker.succeeded(breaker.admit(0.0))
    fail(breaker, 0.0, 5)
    assert refusal(breaker, 0.0) == 10.0
    assert refusal(breaker, 9.0) == 1.0


def test_a_refusal_names_the_server_and_the_time() -> None:
    breaker = Breaker(Resilience(), "git")
    fail(breaker, 0.0, 5)
    with pytest.raises(CircuitOpen, match=r"git failed 5 calls in a row.*try again in 7\.5 s"):
        breaker.admit(2.5)


def test_one_trial_is_let_through_when_the_time_is_over() -> None:
    breaker = Breaker(Resilience(), "git")
    fail(breaker, 0.0, 5)
    trial = breaker.admit(10.0)
    assert refusal(breaker, 10.0) == 10.0
    breaker.succeeded(trial)
    assert breaker.admit(10.0) == breaker.admit(10.0)


def test_each_trial_that_fails_doubles_the_time_up_to_a_minute() -> None:
    breaker, now, waits = Breaker(Resilience(), "git"), 0.0, list[float]()
    fail(breaker, now, 5)
    for _ in range(5):
        waits.append(refusal(breaker, now))
        now += waits[-1]
        fail(breaker, now)
    assert waits == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_a_server_that_came_back_is_trusted_as_before() -> None:
    breaker = Breaker(Resilience(), "git")
    fail(breaker, 0.0, 5)
    fail(breaker, 10.0)
    breaker.succeeded(breaker.admit(30.0))
    fail(breaker, 30.0, 4)
    fail(breaker, 30.0)
    assert refusal(breaker, 30.0) == 10.0


def test_calls_that_began_before_the_circuit_opened_change_nothing_any_more() -> None:
    breaker = Breaker(Resilience(), "git")
    early = [breaker.admit(0.0) for _ in range(20)]
    for turn in early:
        breaker.failed(1.0, turn)
    assert refusal(breaker, 1.0) == 10.0
    trial = breaker.admit(11.0)
    breaker.failed(11.0, early[0])
    breaker.succeeded(early[1])
    assert refusal(breaker, 11.0) == 10.0
    breaker.succeeded(trial)
    breaker.admit(11.0)


def test_a_trial_that_nobody_reports_on_does_not_close_the_door_for_ever() -> None:
    breaker = Breaker(Resilience(), "git")
    fail(breaker, 0.0, 5)
    breaker.admit(10.0)
    assert refusal(breaker, 19.0) == 1.0
    breaker.succeeded(breaker.admit(20.0))
    breaker.admit(20.0)


def test_a_breaker_of_no_failures_never_opens() -> None:
    breaker = Breaker(Resilience(failures=0), "git")
    fail(breaker, 0.0, 100)
    breaker.admit(0.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 3 ", 3.0),
        ("9" * 5000, float("inf")),
        ("Sun, 06 Nov 1994 08:49:40 GMT", 3.0),
        ("Sunday, 06-Nov-94 08:49:47 GMT", 10.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:49:30 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("١٢", None),  # digits, but not those of HTTP
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_of_its_forms(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, EPOCH) == seconds
