"""The providers that the contract is held against, by name."""

from collections.abc import Callable

from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.contract.chargebee import ChargebeeSubject
from cyphera_pipelines_tests.contract.stripe import StripeSubject
from cyphera_pipelines_tests.contract.subject import Subject

SUBJECTS: dict[str, Callable[[SandboxServer], Subject]] = {"stripe": StripeSubject, "chargebee": ChargebeeSubject}
