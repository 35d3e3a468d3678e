"""How the server behaves: latency, rate limits, faults. All can be changed while it runs."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions

Limiter = Literal["bucket", "window"]


class FaultKind(StrEnum):
    """What goes wrong.

    `error_500` is a JSON error with nothing done, `error_500_done` the same with what was asked for done; `error_502`
    and `error_503` are a proxy's HTML page, with nothing done. `drop` does what was asked for and closes the connection
    without a word, `drop_undone` does not do it; `truncate` closes it in the middle of the body; `cut_json` is a
    well-formed response whose JSON stops in the middle. `stall` keeps the client waiting, then drops. `rate_limit` is a
    429. `unauthorized` is a 401, as if the key had been revoked; `forbidden` a 403, as if it had lost a permission.
    `read_only` is a 503 of a site that is being maintained, where the provider has a word for that; elsewhere nothing
    goes wrong.
    """

    ERROR_500 = "error_500"
    ERROR_500_DONE = "error_500_done"
    ERROR_502 = "error_502"
    ERROR_503 = "error_503"
    DROP = "drop"
    DROP_UNDONE = "drop_undone"
    TRUNCATE = "truncate"
    CUT_JSON = "cut_json"
    STALL = "stall"
    RATE_LIMIT = "rate_limit"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    READ_ONLY = "read_only"


class Fault(BaseModel):
    """A fault and which requests it hits.

    `path` is a pattern of shell style over the request's path, as in `/v1/invoices*`. A request that matches it (and
    `account_id`, `method` as in `POST`, and `limit_over`, a `limit` above which the fault applies) is hit with
    `probability`; with `every` only each n-th such request; after `after` of them, and until `times` have been hit.
    `seconds` is how long a stall lasts; `reason` and `retry_after` are a 429's headers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    path: str = "/*"
    account_id: str | None = None
    method: str | None = None
    limit_over: int | None = None
    probability: float = Field(default=1.0, ge=0, le=1)
    every: int = Field(default=1, ge=1)
    after: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=0)
    seconds: float = Field(default=3_600.0, ge=0)
    reason: str = "global-rate"
    retry_after: float | None = None


class SandboxOptions(BaseModel):
    """The server's behaviour towards every account.

    Latency is awaited before each answer: `latency_ms`, plus up to `latency_jitter_ms`. Rates are requests per second,
    with bursts of up to one second's worth (or `burst` requests, at endpoints `endpoint_burst`): per account
    (`account_rate`), per account and endpoint (`endpoint_rate`), or for single endpoints (`endpoint_rates`, keys as
    `GET /v1/invoices`). A `limiter` "bucket" fills all the time, a "window" lets a second's worth through in each whole
    second. Limits see requests after their latency, so that jitter lets them come bunched, or `limited_on_arrival`.
    `account_per_minute` is how many requests an account may make in each whole minute of the clock.
    `account_concurrency` and `endpoint_concurrency` are how many requests may wait for their answers at once.
    `retry_after` is put on a 429 if set. None means no limit. `webhooks` says how events are sent to endpoints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: float = Field(default=0.0, ge=0)
    latency_jitter_ms: float = Field(default=0.0, ge=0)
    account_rate: float | None = Field(default=None, gt=0)
    account_per_minute: int | None = Field(default=None, ge=1)
    endpoint_rate: float | None = Field(default=None, gt=0)
    endpoint_rates: dict[str, float] = Field(default_factory=dict)
    burst: float | None = Field(default=None, ge=1)
    endpoint_burst: float | None = Field(default=None, ge=1)
    limiter: Limiter = "bucket"
    limited_on_arrival: bool = False
    account_concurrency: int | None = Field(default=None, ge=1)
    endpoint_concurrency: int | None = Field(default=None, ge=1)
    retry_after: float | None = Field(default=None, ge=0)
    faults: tuple[Fault, ...] = ()
    fault_seed: int = 1
    webhooks: WebhookOptions = WebhookOptions()
    log_level: Literal["critical", "error", "warning", "info"] = "error"

    @property
    def has_no_limits(self) -> bool:
        """Whether requests may come as fast and as many at once as they like."""
        rates = (self.account_rate, self.account_per_minute, self.endpoint_rate)
        limits = (*rates, self.account_concurrency, self.endpoint_concurrency)
        return not self.endpoint_rates and all(limit is None for limit in limits)
