"""A Stripe-shaped server on loopback with generated data: the demo's, the tests' and the benchmarks' provider.

`SandboxServer` runs it in a thread, `SandboxProcess` in a child process, `serve` in the foreground. What it holds is
said by `SandboxAccount`, how it behaves by `SandboxOptions`.
"""

from cyphera_pipelines.sandbox.accounts import API_VERSION, SandboxAccount, Ugliness, demo_accounts, spare_accounts
from cyphera_pipelines.sandbox.app import create_app
from cyphera_pipelines.sandbox.changes import Change
from cyphera_pipelines.sandbox.options import Fault, FaultKind, SandboxOptions
from cyphera_pipelines.sandbox.process import SandboxProcess
from cyphera_pipelines.sandbox.server import SandboxServer, serve
from cyphera_pipelines.sandbox.state import SandboxState
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions

__all__ = [
    "API_VERSION",
    "Change",
    "Fault",
    "FaultKind",
    "SandboxAccount",
    "SandboxOptions",
    "SandboxProcess",
    "SandboxServer",
    "SandboxState",
    "Ugliness",
    "WebhookOptions",
    "create_app",
    "demo_accounts",
    "serve",
    "spare_accounts",
]
