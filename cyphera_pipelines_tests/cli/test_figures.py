"""`cyphera figures`: building, choosing rules, and giving rates."""

from pathlib import Path

import pytest

from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource


def test_figures_are_built_after_a_sync_and_told_of(forked: ForkedCyphera, add_source: AddSource) -> None:
    slug = add_source()
    assert f"{slug}:stripe" not in forked("figures", "status").done()
    assert "No figures yet" in forked("figures", "status", slug).done()
    forked("sync", slug, "stripe").done()
    (state,) = forked("figures", "status", slug, "--json").json()
    assert (state["source"], state["rules"]["trialing"]) == (f"{slug}:stripe", "left_out")
    (built,) = forked("figures", "build", slug, "stripe", "--full", "--json").json()
    assert (built["was_full"], built["written"], built["removed"]) == (True, 0, 0), "the sync has built them already"
    assert built["customers"] > 0
    assert all(float(amount) > 0 for amount in built["mrr"].values())
    assert f"{slug}:stripe" in forked("figures", "build", slug).done()


def test_rules_are_chosen_and_the_next_build_goes_by_them(forked: ForkedCyphera, add_source: AddSource) -> None:
    slug = add_source()
    forked("sync", slug, "stripe").done()
    assert "Preset cyphera." in forked("figures", "rules", slug).done()
    told = forked("figures", "rules", slug, "--preset", "stripe", "--set", "once_coupons=subtract").done()
    assert "subtract (changed)" in told
    assert f"cyphera figures build {slug}" in told
    chosen = forked("figures", "rules", slug, "--set", "trialing=counts", "--json").json()
    assert chosen["preset"] == "stripe"
    assert {name: chosen["rules"][name] for name in ("once_coupons", "trialing", "full_discount")} == {
        "once_coupons": "subtract",
        "trialing": "counts",
        "full_discount": "churn",
    }
    (built,) = forked("figures", "build", slug, "--json").json()
    assert built["was_full"] is True
    assert "trialing=counts" in forked("figures", "status", slug).done()
    assert forked("figures", "rules", slug, "--preset", "cyphera", "--json").json()["rules"]["trialing"] == "left_out"
    assert "'nobody' is not a preset" in forked("figures", "rules", slug, "--preset", "nobody").error()
    assert "'luck' is not a rule" in forked("figures", "rules", slug, "--set", "luck=counts").error()
    assert "no change of a rule" in forked("figures", "rules", slug, "--set", "trialing").error()


def test_rates_come_from_a_file_and_stay(forked: ForkedCyphera, add_source: AddSource, tmp_path: Path) -> None:
    slug, file = add_source(), tmp_path / "rates.csv"
    assert "No rates" in forked("figures", "rates", slug).done()
    file.write_text("currency,into_currency,day,rate\nEUR,usd,2026-01-01,1.08\neur,usd,2026-02-01,1.1\n")
    forked("figures", "rates", slug, "--from", str(file)).done()
    file.write_text("day,rate,into_currency,currency\n2026-02-01,1.2,usd,eur\n2026-02-01,0.0065,usd,jpy\n")
    known = forked("figures", "rates", slug, "--from", str(file), "--json").json()
    assert [(each["currency"], each["rates"], each["last_day"]) for each in known] == [
        ("eur", 2, "2026-02-01"),
        ("jpy", 1, "2026-02-01"),
    ]
    known = forked("figures", "rates", slug, "--from", str(file), "--replace", "--json").json()
    assert [(each["currency"], each["rates"]) for each in known] == [("eur", 1), ("jpy", 1)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("eur,usd,2026-01-01,much", "Line 2 of .*: 'much' is no number"),
        ("eur,usd,2026-01-01,-1", "Line 2 of .*: '-1' is no rate"),
        ("eur,usd,2026-01-01,NaN", "Line 2 of .*: 'NaN' is no rate"),
        ("eur,zzz,2026-01-01,1", "Line 2 of .*: 'zzz' is no currency"),
        ("eur,usd,January,1", "Line 2 of .*January"),
        ("eur,usd", "Line 2 of "),
    ],
)
def test_a_rate_that_is_none_is_told_with_its_line(
    forked: ForkedCyphera, add_source: AddSource, tmp_path: Path, line: str, told: str
) -> None:
    slug, file = add_source(), tmp_path / "rates.csv"
    file.write_text(f"currency,into_currency,day,rate\n{line}\n")
    with pytest.raises(AssertionError, match=told):
        forked("figures", "rates", slug, "--from", str(file)).done()
    assert "No rates" in forked("figures", "rates", slug).done()
