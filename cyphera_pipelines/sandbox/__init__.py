"""A server on loopback shaped as Stripe's and Chargebee's, with generated data: for the demo, tests and benchmarks.

`SandboxServer` runs it in a thread, `SandboxProcess` in a child process, `serve` in the foreground. What it holds is
said by `SandboxAccount` and `ChargebeeSite`, how it behaves by `SandboxOptions`.
"""

from cyphera_pipelines.sandbox.app import create_app
from cyphera_pipelines.sandbox.change import Change
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite, Oddity, demo_sites, spare_sites
from cyphera_pipelines.sandbox.options import Fault, FaultKind, SandboxOptions
from cyphera_pipelines.sandbox.process import SandboxProcess
from cyphera_pipelines.sandbox.server import SandboxServer, serve
from cyphera_pipelines.sandbox.state import SandboxState
from cyphera_pipelines.sandbox.stripe.accounts import (
    API_VERSION,
    SandboxAccount,
    Ugliness,
    demo_accounts,
    spare_accounts,
)
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions

__all__ = [
    "API_VERSION",
    "Change",
    "ChargebeeSite",
    "Fault",
    "FaultKind",
    "Oddity",
    "SandboxAccount",
    "SandboxOptions",
    "SandboxProcess",
    "SandboxServer",
    "SandboxState",
    "Ugliness",
    "WebhookOptions",
    "create_app",
    "demo_accounts",
    "demo_sites",
    "serve",
    "spare_accounts",
    "spare_sites",
]
