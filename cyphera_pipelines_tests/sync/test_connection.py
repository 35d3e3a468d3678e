"""A connection test ends in time, and so does what it began."""

import threading
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sync import connection
from cyphera_pipelines.sync.connection import ProblemCode, try_connection
from cyphera_pipelines_tests import slow_provider as slow
from cyphera_pipelines_tests.api.conftest import until


@pytest.mark.parametrize(
    "way",
    [
        slow.says_nothing,
        slow.drips_its_head,
        slow.drips_its_body,
        slow.never_ends,
        slow.announces_too_much,
        slow.refuses_for_ever,
    ],
    ids=lambda way: way.__name__,
)
def test_a_provider_that_keeps_us_waiting_is_reported_in_time(
    way: Callable[..., None], add_source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BEGIN_WITHIN", 0.2)
    monkeypatch.setattr(connection, "REPORT_WITHIN", 0.5)
    with slow.slow_provider(way) as provider:
        source = add_source("sk_test_slow_provider", provider.url)
        report = try_connection(source, Credentials(api_key=SecretStr("sk_test_slow_provider"), base_url=provider.url))
        assert [problem.code for problem in report.problems] == [ProblemCode.PROVIDER_DOWN]
        assert "took too long" in report.problems[0].message
        until(lambda: not [each for each in threading.enumerate() if each.name == "connection-test"])
