"""How often wrong keys may be tried, and that nobody is kept out for what others do."""

import pytest

from cyphera_pipelines.api.ops.sign_in_attempts import (
    IN_ALL,
    MOST_ADDRESSES,
    OF_ONE_ADDRESS,
    OF_ONE_ADDRESS_EVERY,
    SignInAttempts,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> SignInAttempts:
    return SignInAttempts(clock)


def test_an_address_may_err_a_few_times_and_then_waits(attempts: SignInAttempts, clock: Clock) -> None:
    for _ in range(OF_ONE_ADDRESS):
        assert attempts.wait_of("203.0.113.7") == 0
        attempts.note_attempt("203.0.113.7")
    assert attempts.wait_of("203.0.113.7") == OF_ONE_ADDRESS_EVERY
    assert attempts.wait_of("203.0.113.8") == 0
    clock.now += OF_ONE_ADDRESS_EVERY
    assert attempts.wait_of("203.0.113.7") == 0
    attempts.note_attempt("203.0.113.7")
    assert attempts.wait_of("203.0.113.7") == OF_ONE_ADDRESS_EVERY


def test_right_keys_are_held_against_nobody(attempts: SignInAttempts) -> None:
    for _ in range(10 * OF_ONE_ADDRESS):
        attempts.note_attempt("203.0.113.7")
        attempts.forgive("203.0.113.7")
    assert attempts.wait_of("203.0.113.7") == 0


def test_many_addresses_keep_nobody_out_but_themselves(attempts: SignInAttempts) -> None:
    for number in range(10 * IN_ALL):
        attempts.note_attempt(f"198.51.{number // 256}.{number % 256}")
    assert attempts.wait_of("198.51.0.0") > 0, "one wrong key is enough to be one of them"
    assert attempts.wait_of("203.0.113.7") == 0


def test_a_network_of_ipv6_is_one_address(attempts: SignInAttempts) -> None:
    for number in range(OF_ONE_ADDRESS):
        attempts.note_attempt(f"2001:db8:1:2::{number:x}")
    assert attempts.wait_of("2001:db8:1:2:ffff::1") > 0
    assert attempts.wait_of("2001:db8:1:3::1") == 0


def test_what_is_remembered_is_bounded(attempts: SignInAttempts) -> None:
    for number in range(MOST_ADDRESSES + 10):
        attempts.note_attempt(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(attempts._of_address) == MOST_ADDRESSES
