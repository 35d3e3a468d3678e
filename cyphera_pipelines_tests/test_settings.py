import os
from pathlib import Path

import pytest

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.settings import Settings, load_settings, project_root

OURS = ("CYPHERA_", "PAYMENT_SYNC_")
PASSWORD = "p4ss-of-the-database"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment without any of our variables."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    return monkeypatch


def load(environment: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        environment.setenv(name, value)
    return load_settings()


def test_without_any_variable_the_process_brings_its_own_postgres(environment: pytest.MonkeyPatch) -> None:
    settings = load(environment)
    assert settings.is_embedded
    assert settings.home == project_root() / ".cyphera"
    assert (project_root() / "dagster.yaml").is_file()
    assert (settings.provider_hosts, settings.previous_encryption_keys, settings.encryption_key) == ((), (), None)
    with pytest.raises(InvalidInputError, match="CYPHERA_DATABASE_URL is not set"):
        settings.application_url()


@pytest.mark.parametrize("home", ["~/data", "data", "./data", "/srv/data"])
def test_the_home_is_absolute(home: str, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.chdir(tmp_path)
    environment.setenv("HOME", "/home/somebody")
    settings = load(environment, CYPHERA_HOME=home)
    assert settings.home in (Path("/home/somebody/data"), tmp_path / "data", Path("/srv/data"))


@pytest.mark.parametrize(
    "url",
    [
        f"postgres://app:{PASSWORD}@db:5432/shop?sslmode=require",
        f"postgresql://app:{PASSWORD}@db:5432/shop?sslmode=require",
        f" postgresql+psycopg2://app:{PASSWORD}@db:5432/shop?sslmode=require\n",
        f"postgresql+psycopg://app:{PASSWORD}@db:5432/shop?sslmode=require",
    ],
)
def test_every_way_to_write_a_postgres_url_names_our_driver(url: str, environment: pytest.MonkeyPatch) -> None:
    settings = load(environment, CYPHERA_DATABASE_URL=url)
    assert not settings.is_embedded
    for address, database in ((settings.application_url(), "shop"), (settings.dagster_storage_url(), "dagster")):
        assert address.drivername == "postgresql+psycopg2"
        assert (address.username, address.password, address.host, address.port) == ("app", PASSWORD, "db", 5432)
        assert (address.database, address.query) == (database, {"sslmode": "require"})


def test_odd_characters_of_a_password_survive(environment: pytest.MonkeyPatch) -> None:
    settings = load(environment, CYPHERA_DATABASE_URL="postgresql://app:a%40b%2Fc%25%20d@db/shop")
    assert settings.application_url().password == "a@b/c% d"


def test_dagster_may_have_a_database_of_its_own(environment: pytest.MonkeyPatch) -> None:
    variables = {
        "CYPHERA_DATABASE_URL": "postgresql://app@db/shop",
        "CYPHERA_DAGSTER_DATABASE_URL": "postgres://dagster@other/runs",
    }
    url = load(environment, **variables).dagster_storage_url()
    assert url.render_as_string() == "postgresql+psycopg2://dagster@other/runs"


@pytest.mark.parametrize("variable", ["CYPHERA_DATABASE_URL", "CYPHERA_DAGSTER_DATABASE_URL"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "is empty; unset it to use the embedded Postgres, or set it to postgresql://user:password@host/database."),
        ("  ", "is empty; unset it"),
        (
            f"app:{PASSWORD}",
            "is not a database URL; it should look like postgresql://user:password@host:5432/database.",
        ),
        (f"postgresql://app:{PASSWORD}@db:port/shop", "is not a database URL"),
        (f"mysql://app:{PASSWORD}@db/shop", "names 'mysql'; only postgresql:// URLs are supported."),
        ("sqlite:///shop.db", "names 'sqlite'"),
        (f"postgresql://app:{PASSWORD}@db", "names no database"),
        (f"postgresql://app:{PASSWORD}@db/", "names no database"),
    ],
)
def test_a_wrong_url_is_one_line_that_names_the_variable_and_no_password(
    variable: str, value: str, says: str, environment: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load(environment, **{variable: value})
    assert str(caught.value).startswith(f"{variable} {says}")
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_dagsters_webserver_is_looked_for_where_up_starts_it(environment: pytest.MonkeyPatch) -> None:
    assert load(environment).dagster_url == "http://127.0.0.1:3000"
    assert load(environment, CYPHERA_API_URL="https://api.example.com/").api_url == "https://api.example.com"
    assert load(environment, CYPHERA_DAGSTER_URL=" https://dagster.internal/ui/ ").dagster_url == (
        "https://dagster.internal/ui"
    )


@pytest.mark.parametrize("value", ["", "localhost:3000", "ftp://dagster", "http://"])
def test_a_web_address_must_be_one(value: str, environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match=r"^CYPHERA_DAGSTER_URL is not a web address; it should look like http"):
        load(environment, CYPHERA_DAGSTER_URL=value)


def test_lists_are_split_at_commas(environment: pytest.MonkeyPatch) -> None:
    settings = load(
        environment,
        CYPHERA_PROVIDER_HOSTS=" Proxy.internal, stripe.test:8443,,",
        PAYMENT_SYNC_ENCRYPTION_KEY="new",
        PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS="old, older",
    )
    assert settings.provider_hosts == ("proxy.internal", "stripe.test:8443")
    assert settings.encryption_key is not None
    assert settings.encryption_key.get_secret_value() == "new"
    assert [key.get_secret_value() for key in settings.previous_encryption_keys] == ["old", "older"]


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    settings = load(
        environment,
        CYPHERA_DATABASE_URL=f"postgresql://app:{PASSWORD}@db/shop",
        PAYMENT_SYNC_ENCRYPTION_KEY="planted-encryption-key",
        PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS="planted-previous-key",
    )
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {settings.application_url()}"
    for secret in (PASSWORD, "planted"):
        assert secret not in shown


def test_variables_that_are_not_ours_do_not_matter(environment: pytest.MonkeyPatch) -> None:
    load(environment, CYPHERA_DEBUG="1", CYPHERA_UNKNOWN="x", DATABASE_URL="mysql://x", HOME_="y")


def test_dagster_s_folder_is_under_the_home_and_follows_the_package_unless_somebody_has_a_file_of_his_own(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.delenv("DAGSTER_HOME", raising=False)
    settings = load(environment, CYPHERA_HOME=str(tmp_path / "home"))
    brought = settings.dagster_yaml
    assert settings.prepare_dagster_home() == tmp_path / "home" / "dagster"
    link = tmp_path / "home" / "dagster" / "dagster.yaml"
    assert link.samefile(brought)
    # Another environment's package had it last, and is gone.
    link.unlink()
    link.symlink_to(tmp_path / "gone")
    settings.prepare_dagster_home()
    assert link.samefile(brought)
    assert [path.name for path in link.parent.iterdir()] == ["dagster.yaml"]
    link.unlink()
    link.write_text("concurrency: {runs: {max_concurrent_runs: 3}}\n")
    settings.prepare_dagster_home()
    assert settings.dagster_yaml == link
    assert link.read_text().startswith("concurrency")
    environment.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
    assert settings.prepare_dagster_home() == tmp_path / "elsewhere"
    assert not (tmp_path / "elsewhere").exists()
    environment.delenv("DAGSTER_HOME")
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match=r"Dagster's folder .* cannot be written: Not a directory"):
        load(environment, CYPHERA_HOME=str(tmp_path / "file")).prepare_dagster_home()
