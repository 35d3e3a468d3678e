"""How a sandbox behaves towards those who ask, and what it has counted of them."""

from collections.abc import Callable
from typing import Any

from cyphera_pipelines.sandbox.counters import Counters
from cyphera_pipelines.sandbox.faults import Faults
from cyphera_pipelines.sandbox.limits import RateLimits
from cyphera_pipelines.sandbox.options import SandboxOptions
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions

RequestWatcher = Callable[[str, str], None]
"""Called with a request's endpoint template and query string, before it is answered."""


class Behaviour:
    """The options, faults, limits and counters of one server, the same for all providers' accounts."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.faults = Faults(self.options.faults, self.options.fault_seed)
        self.limits = RateLimits(self.options)
        self.counters = Counters()
        self.watchers: list[RequestWatcher] = []

    def set_options(self, options: SandboxOptions) -> None:
        """Replace the options; faults and rate limits start afresh."""
        self.options = options
        self.limits.set(options)
        self.faults = Faults(options.faults, options.fault_seed)

    def change_options(self, options: SandboxOptions) -> None:
        """Go on with other options: faults count on unless they change, and what was used of the limits stays used."""
        if (options.faults, options.fault_seed) != (self.options.faults, self.options.fault_seed):
            self.faults = Faults(options.faults, options.fault_seed)
        self.options = options
        self.limits.change(options)

    def change_webhooks(self, **changes: Any) -> None:
        """Send webhooks otherwise from now on, as in `lost=0.1`. Raises ValueError for what makes no sense."""
        webhooks = WebhookOptions.model_validate({**self.options.webhooks.model_dump(), **changes})
        self.change_options(self.options.model_copy(update={"webhooks": webhooks}))
