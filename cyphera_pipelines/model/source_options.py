"""What a configuration's metadata may tell the pipeline; everything else in it is the workspace's own affair."""

from pydantic import BaseModel, ConfigDict, Field, StrictBool

LOWEST_RATE, HIGHEST_RATE = 0.1, 10_000


class RateLimitOptions(BaseModel):
    """Requests per second, in all and at each endpoint, instead of those that the provider publishes."""

    model_config = ConfigDict(extra="forbid")

    account: float = Field(ge=LOWEST_RATE, le=HIGHEST_RATE, strict=True)
    endpoint: float = Field(ge=LOWEST_RATE, le=HIGHEST_RATE, strict=True)


class SourceOptions(BaseModel):
    """`store_raw`: whether the provider's whole objects are kept. `rate_limits`: None keeps to the published ones."""

    model_config = ConfigDict(extra="ignore")

    store_raw: StrictBool = True
    rate_limits: RateLimitOptions | None = None
