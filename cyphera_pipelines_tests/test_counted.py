"""Numbers of things."""

import pytest

from cyphera_pipelines.model.counted import counted


@pytest.mark.parametrize(
    ("number", "what", "do", "told"),
    [
        (1, "row", None, "1 row"),
        (0, "row", None, "0 rows"),
        (1_200, "row", "were", "1,200 rows were"),
        (1, "webhook", "are", "1 webhook is"),
        (2, "process", None, "2 processes"),
    ],
)
def test_one_is_told_otherwise_than_many(number: int, what: str, do: str | None, told: str) -> None:
    assert counted(number, what, do) == told
