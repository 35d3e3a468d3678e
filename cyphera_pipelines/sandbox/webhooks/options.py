"""How webhooks are sent, and what goes wrong with them."""

from pydantic import BaseModel, ConfigDict, Field

_SHARE = Field(default=0.0, ge=0, le=1)


class WebhookOptions(BaseModel):
    """How the events of all accounts are sent to the endpoints that want them.

    Shares, from 0 to 1, of what is sent to an endpoint: `lost` never arrives; `doubled` comes twice; `delayed` comes up
    to `delay_seconds` later; `reordered` comes after up to `reordered_by` that happened later (or after
    `delay_seconds`, if nothing happens any more). Which ones follows from `seed`, the endpoint's place in its account
    and how many events came before.

    `rate` is how many a second an endpoint gets at most; up to `at_once` are on their way to it at a time, and
    `most_waiting` wait: what comes on top is lost. What is not answered with a 2xx within `timeout_seconds` is sent
    again after `retry_seconds`, then twice as long and so on, `longest_retry_seconds` at most; up to `tries` times
    in all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lost: float = _SHARE
    doubled: float = _SHARE
    delayed: float = _SHARE
    delay_seconds: float = Field(default=1.0, ge=0, le=3_600)
    reordered: float = _SHARE
    reordered_by: int = Field(default=50, ge=1, le=10_000)
    seed: int = 1
    rate: float | None = Field(default=None, gt=0)
    at_once: int = Field(default=4, ge=1, le=64)
    most_waiting: int = Field(default=100_000, ge=1)
    timeout_seconds: float = Field(default=10.0, gt=0)
    retry_seconds: float = Field(default=0.2, ge=0)
    longest_retry_seconds: float = Field(default=5.0, ge=0)
    tries: int = Field(default=10, ge=1)

    def wait_after(self, tries: int) -> float:
        """Return the seconds until the next try after so many."""
        return min(self.retry_seconds * 2.0 ** min(tries - 1, 60), self.longest_retry_seconds)
