import pytest

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import LimitMet, LimitScope
from cyphera_pipelines.sync.limits import account
from cyphera_pipelines.sync.limits.account import LOOK_AGAIN, AccountLimits, AccountTurn, account_limits

PUBLISHED = RateLimits(account=100, endpoint=25)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> AccountLimits:
    return AccountLimits(PUBLISHED, clock)


def begin(limits: AccountLimits, endpoint: str, clock: Clock) -> AccountTurn:
    """A turn that has been waited for."""
    turn = limits.turn(endpoint)
    turn.__enter__()
    while (left := turn.seconds_left()) > 0:
        clock.now += left
    return turn


def refuse(limits: AccountLimits, endpoint: str, clock: Clock, met: LimitMet) -> None:
    with begin(limits, endpoint, clock) as turn:
        turn.refused(met)


def test_retry_after_is_waited_for(limits: AccountLimits, clock: Clock) -> None:
    refuse(limits, "invoices", clock, LimitMet(LimitScope.ENDPOINT, pause=30.0))
    with limits.turn("customers") as elsewhere:
        assert elsewhere.seconds_left() < 0.1
    since = clock.now
    with begin(limits, "invoices", clock):
        assert clock.now - since >= 30.0


def test_an_objection_to_the_account_holds_every_endpoint(limits: AccountLimits, clock: Clock) -> None:
    refuse(limits, "invoices", clock, LimitMet(LimitScope.ACCOUNT, pause=2.0))
    since = clock.now
    with begin(limits, "customers", clock):
        assert clock.now - since >= 2.0


@pytest.mark.parametrize("scope", list(LimitScope))
def test_only_the_limit_that_was_met_slows_down(scope: LimitScope, limits: AccountLimits, clock: Clock) -> None:
    for _ in range(20):
        clock.now += 0.1
        refuse(limits, "invoices", clock, LimitMet(scope))
    slowed = {endpoint for endpoint in ("invoices", "customers") if limits.rate_of(endpoint) < 25.0}
    expected: dict[LimitScope, set[str]] = {
        LimitScope.ACCOUNT: {"invoices", "customers"},
        LimitScope.ENDPOINT: {"invoices"},
        LimitScope.OBJECT: set(),
    }
    assert slowed == expected[scope]


def test_too_many_at_once_means_fewer_and_not_slower(limits: AccountLimits, clock: Clock) -> None:
    turns = [begin(limits, "invoices", clock) for _ in range(10)]
    for turn in turns[5:]:
        turn.refused(LimitMet(of_concurrency=True))
    assert limits.rate_of("invoices") == 25.0
    for turn in turns:
        turn.__exit__(None, None, None)
    clock.now += 10.0
    at_once = 0
    while limits.turn("invoices").seconds_left() == 0:
        at_once += 1
        clock.now += 1.0
    assert at_once == 4


def test_turns_at_an_endpoint_are_given_in_order(limits: AccountLimits, clock: Clock) -> None:
    begin(limits, "invoices", clock)
    first, second = limits.turn("invoices"), limits.turn("invoices")
    assert 0 < first.seconds_left() < second.seconds_left()
    clock.now += 1.0
    assert second.seconds_left() > 0
    assert first.seconds_left() == 0


def test_who_gives_up_waiting_holds_nobody_back(limits: AccountLimits, clock: Clock) -> None:
    begin(limits, "invoices", clock)
    abandoned, next_one = limits.turn("invoices"), limits.turn("invoices")
    with abandoned:
        assert abandoned.seconds_left() > 0
        assert next_one.seconds_left() > 0
    clock.now += 1.0
    assert next_one.seconds_left() == 0


def test_a_queue_at_one_endpoint_does_not_hold_back_the_others(limits: AccountLimits, clock: Clock) -> None:
    for _ in range(50):
        limits.turn("invoices").seconds_left()
    clock.now += 0.1
    assert limits.turn("customers").seconds_left() == 0


def test_writes_go_before_reads_that_wait(limits: AccountLimits, clock: Clock) -> None:
    begin(limits, "invoices", clock)
    reads = [limits.turn("invoices") for _ in range(3)]
    assert all(read.seconds_left() > 0 for read in reads)
    write, later = limits.turn("invoices", is_write=True), limits.turn("invoices", is_write=True)
    assert 0 < write.seconds_left() < later.seconds_left()
    clock.now += 1.0
    assert all(read.seconds_left() > 0 for read in reads)
    assert later.seconds_left() > 0
    assert write.seconds_left() == 0


def test_a_write_that_waits_for_the_account_goes_before_reads_elsewhere(clock: Clock) -> None:
    limits = AccountLimits(RateLimits(account=1, endpoint=1_000), clock)
    begin(limits, "invoices", clock)
    read, write = limits.turn("customers"), limits.turn("refunds", is_write=True)
    assert read.seconds_left() > 0
    assert write.seconds_left() > 0
    clock.now += 2.0
    assert read.seconds_left() > 0
    assert write.seconds_left() == 0
    with write:
        pass
    clock.now += 2.0
    assert read.seconds_left() == 0


def test_a_write_that_is_given_up_holds_nobody_back(clock: Clock) -> None:
    limits = AccountLimits(RateLimits(account=1, endpoint=1_000), clock)
    begin(limits, "invoices", clock)
    read = limits.turn("customers")
    with limits.turn("refunds", is_write=True) as write:
        assert write.seconds_left() > 0
        clock.now += 2.0
        assert read.seconds_left() > 0
    assert read.seconds_left() == 0


def test_a_write_that_its_own_endpoint_holds_back_holds_back_nobody_else(limits: AccountLimits, clock: Clock) -> None:
    refuse(limits, "refunds", clock, LimitMet(LimitScope.ENDPOINT, pause=30.0))
    clock.now += 1.0
    assert limits.turn("refunds", is_write=True).seconds_left() > 0
    assert limits.turn("customers").seconds_left() == 0


def test_no_more_are_on_their_way_than_the_provider_allows(clock: Clock) -> None:
    limits = AccountLimits(RateLimits(account=1_000, endpoint=1_000, per_seconds=60.0, at_once=3), clock)
    turns = [begin(limits, endpoint, clock) for endpoint in ("invoices", "customers", "invoices")]
    fourth = limits.turn("prices")
    assert fourth.seconds_left() > 0
    turns[0].__exit__(None, None, None)
    assert fourth.seconds_left() == 0


def test_who_waits_long_looks_again_soon(clock: Clock) -> None:
    limits = AccountLimits(RateLimits(account=0.01, endpoint=0.01), clock)
    begin(limits, "invoices", clock)
    assert limits.turn("invoices").seconds_left() == LOOK_AGAIN


def test_all_who_call_an_account_share_its_limits() -> None:
    published = RateLimits(account=25, endpoint=25)
    one = account_limits("sk_test_shared", "api.stripe.com", published)
    assert account_limits("sk_test_shared", "api.stripe.com", published) is one
    assert account_limits("sk_test_another", "api.stripe.com", published) is not one
    assert account_limits("sk_test_shared", "127.0.0.1:1", published) is not one


def test_accounts_that_are_not_called_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "MOST_ACCOUNTS", 3)
    for number in range(10):
        account_limits(f"sk_test_{number}", "api.stripe.com", PUBLISHED)
    assert len(account._accounts) == 3
