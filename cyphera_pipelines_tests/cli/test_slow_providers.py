"""Connection tests of the API's own process, at addresses that keep it waiting."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import requests

from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines_tests import slow_provider as slow
from cyphera_pipelines_tests.api.conftest import until
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource
from cyphera_pipelines_tests.cli.test_api import serving

WAYS = (
    slow.says_nothing,
    slow.drips_its_head,
    slow.drips_its_body,
    slow.never_ends,
    slow.announces_too_much,
    slow.refuses_for_ever,
)


@dataclass
class Tenant:
    """A workspace's headers, and where its connection is tested."""

    url: str
    headers: dict[str, str]

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}/api/v1/sync{path}", headers=self.headers, timeout=60)

    def test(self) -> requests.Response:
        config_id = self.get("/config/stripe").json()["id"]
        return requests.post(f"{self.url}/api/v1/sync/config/{config_id}/test", headers=self.headers, timeout=60)


def tenant(forked: ForkedCyphera, slug: str, url: str) -> Tenant:
    return Tenant(url, dict(line.split(": ") for line in forked("key", "create", slug).done().splitlines()))


@pytest.mark.slow
def test_one_tenant_s_hanging_address_delays_nobody_else(
    cyphera: Cyphera, forked: ForkedCyphera, add_source: AddSource, account: SandboxAccount
) -> None:
    with (
        slow.slow_provider(slow.says_nothing) as provider,
        serving(cyphera) as (process, url),
        ThreadPoolExecutor(20) as threads,
    ):
        stuck, other = (
            tenant(forked, add_source(base_url=provider.url), url),
            tenant(forked, add_source(account.api_key), url),
        )
        tests: list[Future[requests.Response]] = [threads.submit(stuck.test) for _ in range(20)]
        until(lambda: provider.waiting == 2 and sum(test.done() for test in tests) == 18)
        refused = [test.result() for test in tests if test.done()]
        assert {answer.status_code for answer in refused} == {429}
        assert {answer.headers["Content-Type"] for answer in refused} == {"application/problem+json"}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
        assert "2 connection tests of this workspace are at work already" in refused[0].json()["detail"]
        for _ in range(3):
            assert other.test().json()["success"] is True
        assert other.get("/sessions").json() == stuck.get("/sessions").json()
        assert (other.get("/sessions").json()["sessions"], other.get("/sessions").json()["total"]) == ([], 0)
        assert [test.done() for test in tests].count(False) == 2, "these hang all the while"
        process.kill()
        for test in tests:
            test.exception()


@pytest.mark.slow
def test_the_report_comes_whatever_the_provider_does(
    cyphera: Cyphera, forked: ForkedCyphera, add_source: AddSource
) -> None:
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(len(WAYS)))
        _process, url = stack.enter_context(serving(cyphera))
        providers = [stack.enter_context(slow.slow_provider(way)) for way in WAYS]
        tenants = [tenant(forked, add_source(base_url=provider.url), url) for provider in providers]
        for way, answer in zip(WAYS, threads.map(Tenant.test, tenants), strict=True):
            assert answer.status_code == 200, way
            report = answer.json()
            assert report["success"] is False
            assert report["problems"][0]["code"] in ("provider_down", "network_failure", "rate_limited"), way
