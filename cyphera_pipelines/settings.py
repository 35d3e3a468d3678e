"""Every setting, read from the environment. The README lists the same names."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.quotas import Quotas, Retention

PACKAGE = Path(__file__).resolve().parent
_PACKAGE_PARENT = PACKAGE.parent
_DAGSTER_YAML = PACKAGE / "dagster_home" / "dagster.yaml"
_SECRETS = (
    "CYPHERA_DATABASE_URL",
    "CYPHERA_DAGSTER_DATABASE_URL",
    "CYPHERA_ALERT_MAIL_URL",
    "PAYMENT_SYNC_",
    "STRIPE_",
)
"""What the names of variables begin with that hold a secret, or tell where one is."""


def project_root() -> Path:
    """The checkout that this package runs from, else the current folder."""
    return _PACKAGE_PARENT if (_PACKAGE_PARENT / "dagster.yaml").is_file() else Path.cwd()


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a program that needs neither our keys nor our databases."""
    return {name: value for name, value in environment.items() if not name.startswith(_SECRETS)}


@dataclass(frozen=True)
class DeployedSecret:
    """Where the operator put a secret: into the variable itself, a file or AWS Secrets Manager, or nowhere."""

    variable: str
    value: SecretStr | None
    file: str | None
    arn: str | None


def in_brackets(place: DeployedSecret | None) -> str:
    """The variable as messages name it, as in ` (SOME_SECRET)`; nothing where there is no way to deploy one."""
    return "" if place is None else f" ({place.variable})"


class Settings(BaseSettings):
    """The process's settings. What is secret may also be in a file that `<variable>_FILE` names.

    Without `CYPHERA_DATABASE_URL` the process is in *embedded mode*: a private Postgres and a key file live
    under `home`.
    """

    model_config = SettingsConfigDict(env_prefix="CYPHERA_", extra="ignore", populate_by_name=True)

    home: Path = Field(default_factory=lambda: project_root() / ".cyphera")
    database_url: SecretStr | None = None
    dagster_database_url: SecretStr | None = None
    dagster_url: str = "http://127.0.0.1:3000"
    dagster_ui_url: str | None = None
    api_url: str = "http://127.0.0.1:8000"
    public_url: str | None = None
    ops_url: str | None = None
    api_workers: int = Field(default=1, ge=1, le=64)
    provider_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    encryption_key: SecretStr | None = Field(default=None, validation_alias="PAYMENT_SYNC_ENCRYPTION_KEY")
    previous_encryption_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), validation_alias="PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS"
    )
    stripe_api_key: SecretStr | None = Field(default=None, validation_alias="STRIPE_API_KEY")
    stripe_webhook_secret: SecretStr | None = Field(default=None, validation_alias="STRIPE_WEBHOOK_SECRET")

    database_url_file: str | None = None
    dagster_database_url_file: str | None = None
    encryption_key_file: str | None = Field(default=None, validation_alias="PAYMENT_SYNC_ENCRYPTION_KEY_FILE")
    encryption_key_arn: str | None = Field(default=None, validation_alias="PAYMENT_SYNC_ENCRYPTION_KEY_ARN")
    previous_encryption_keys_file: str | None = Field(
        default=None, validation_alias="PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS_FILE"
    )
    stripe_api_key_file: str | None = Field(default=None, validation_alias="STRIPE_API_KEY_FILE")
    stripe_api_key_arn: str | None = Field(default=None, validation_alias="STRIPE_API_KEY_ARN")
    stripe_webhook_secret_file: str | None = Field(default=None, validation_alias="STRIPE_WEBHOOK_SECRET_FILE")
    stripe_webhook_secret_arn: str | None = Field(default=None, validation_alias="STRIPE_WEBHOOK_SECRET_ARN")

    alert_mail_url: SecretStr | None = None
    alert_mail_url_file: str | None = None
    alerts_to_private_addresses: bool = False

    preview_personal_data: bool = False

    batches_at_once: int = Field(default=2, ge=0, le=20)
    most_sources_at_once: int = Field(default=8, ge=1, le=100)

    most_configurations: int = Field(default=50, ge=1)
    most_accounts: int = Field(default=100, ge=1)
    most_waiting_sessions: int = Field(default=20, ge=1)
    most_sessions_per_hour: int = Field(default=240, ge=1)
    most_waiting_webhooks: int = Field(default=20_000, ge=1)
    most_waiting_webhook_megabytes: int = Field(default=256, ge=1)
    webhook_attempts: int = Field(default=10, ge=1, le=100)
    keep_sessions_days: int = Field(default=90, ge=1)
    keep_handled_webhooks_days: int = Field(default=30, ge=1)
    keep_waiting_webhooks_days: int = Field(default=30, ge=1)
    keep_orphaned_webhooks_days: int = Field(default=7, ge=1)
    keep_dead_webhooks_days: int = Field(default=30, ge=1)
    keep_unrouted_webhooks_days: int = Field(default=7, ge=1)
    keep_removed_configurations_days: int = Field(default=365, ge=1)
    keep_audit_days: int = Field(default=730, ge=1)
    keep_writes_days: int = Field(default=90, ge=2)
    keep_alerts_days: int = Field(default=90, ge=2)

    def quotas(self) -> Quotas:
        """What one workspace may have at most."""
        return Quotas(
            configurations=self.most_configurations,
            accounts=self.most_accounts,
            waiting_sessions=self.most_waiting_sessions,
            sessions_per_hour=self.most_sessions_per_hour,
            waiting_webhooks=self.most_waiting_webhooks,
            waiting_webhook_bytes=self.most_waiting_webhook_megabytes * 2**20,
        )

    def retention(self) -> Retention:
        """How long what is over is kept."""
        return Retention(
            sessions_days=self.keep_sessions_days,
            handled_webhooks_days=self.keep_handled_webhooks_days,
            waiting_webhooks_days=self.keep_waiting_webhooks_days,
            orphaned_webhooks_days=self.keep_orphaned_webhooks_days,
            dead_webhooks_days=self.keep_dead_webhooks_days,
            unrouted_webhooks_days=self.keep_unrouted_webhooks_days,
            removed_configurations_days=self.keep_removed_configurations_days,
            audit_days=self.keep_audit_days,
            writes_days=self.keep_writes_days,
            alerts_days=self.keep_alerts_days,
        )

    @property
    def deployed_encryption_key(self) -> DeployedSecret:
        """The key that encrypts credentials; further lines of a file are older keys."""
        return DeployedSecret(
            "PAYMENT_SYNC_ENCRYPTION_KEY", self.encryption_key, self.encryption_key_file, self.encryption_key_arn
        )

    @property
    def deployed_stripe_api_key(self) -> DeployedSecret:
        """The platform's own key at Stripe."""
        return DeployedSecret("STRIPE_API_KEY", self.stripe_api_key, self.stripe_api_key_file, self.stripe_api_key_arn)

    def deployed_api_key(self, provider: str) -> DeployedSecret | None:
        """The platform's own key at that provider; None where there is no way to deploy one."""
        return self.deployed_stripe_api_key if provider == "stripe" else None

    def deployed_webhook_secret(self, provider: str) -> DeployedSecret | None:
        """The signing secret of the platform's own endpoint at that provider; None where none can be deployed."""
        return self.deployed_stripe_webhook_secret if provider == "stripe" else None

    @property
    def deployed_stripe_webhook_secret(self) -> DeployedSecret:
        """The signing secret of the platform's own endpoint at Stripe; several with commas while it changes."""
        return DeployedSecret(
            "STRIPE_WEBHOOK_SECRET",
            self.stripe_webhook_secret,
            self.stripe_webhook_secret_file,
            self.stripe_webhook_secret_arn,
        )

    @property
    def dagster_home(self) -> Path:
        """The folder whose `dagster.yaml` configures Dagster, which makes files there: `DAGSTER_HOME`, else ours."""
        return Path(os.environ.get("DAGSTER_HOME") or self.home / "dagster")

    @property
    def dagster_yaml(self) -> Path:
        """The file that configures Dagster: the one that the package brings where nobody put another."""
        file = self.dagster_home / "dagster.yaml"
        return file if os.environ.get("DAGSTER_HOME") or file.exists() else _DAGSTER_YAML

    def prepare_dagster_home(self) -> Path:
        """Make Dagster's folder unless it is the operator's, and link the package's `dagster.yaml` there.

        A file that somebody put in its place is left alone. Raises InvalidInputError if the home cannot be written.
        """
        folder, file = self.dagster_home, self.dagster_home / "dagster.yaml"
        if os.environ.get("DAGSTER_HOME") or (file.exists() and not file.is_symlink()):
            return folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not file.is_symlink() or file.readlink() != _DAGSTER_YAML:
                # Another process may do so too, and Dagster may read it just now.
                with tempfile.TemporaryDirectory(dir=folder) as draft:
                    (Path(draft) / file.name).symlink_to(_DAGSTER_YAML)
                    (Path(draft) / file.name).replace(file)
        except OSError as error:
            raise InvalidInputError(
                f"Dagster's folder {folder} cannot be written: {error.strerror}. Set CYPHERA_HOME or DAGSTER_HOME to "
                "another folder.",
                code=ErrorCode.SETTING_INVALID,
            ) from None
        return folder

    @property
    def dagster_ui(self) -> str | None:
        """Where people's browsers find Dagster's UI: as it was set, else where we do if that is this very machine."""
        if self.dagster_ui_url is not None:
            return self.dagster_ui_url
        return self.dagster_url if self.is_embedded else None

    @property
    def is_embedded(self) -> bool:
        """Whether the process brings its own Postgres."""
        return self.database_url is None

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("database_url", "dagster_database_url")
    @classmethod
    def _postgres_url(cls, url: SecretStr | None) -> SecretStr | None:
        return None if url is None else SecretStr(_normalise_postgres_url(url.get_secret_value()))

    @field_validator(
        "database_url_file",
        "dagster_database_url_file",
        "alert_mail_url_file",
        "encryption_key_file",
        "encryption_key_arn",
        "previous_encryption_keys_file",
        "stripe_api_key_file",
        "stripe_api_key_arn",
        "stripe_webhook_secret_file",
        "stripe_webhook_secret_arn",
    )
    @classmethod
    def _empty_is_unset(cls, name: str | None) -> str | None:
        return name.strip() or None if name is not None else None

    @model_validator(mode="after")
    def _read_files(self) -> Self:
        """Of a secret in two places nobody could say which one counts."""
        for variable, value, file in (
            ("CYPHERA_DATABASE_URL", self.database_url, self.database_url_file),
            ("CYPHERA_DAGSTER_DATABASE_URL", self.dagster_database_url, self.dagster_database_url_file),
            ("CYPHERA_ALERT_MAIL_URL", self.alert_mail_url, self.alert_mail_url_file),
            ("PAYMENT_SYNC_ENCRYPTION_KEY", self.encryption_key, self.encryption_key_file),
            (
                "PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS",
                self.previous_encryption_keys or None,
                self.previous_encryption_keys_file,
            ),
            ("STRIPE_API_KEY", self.stripe_api_key, self.stripe_api_key_file),
            ("STRIPE_WEBHOOK_SECRET", self.stripe_webhook_secret, self.stripe_webhook_secret_file),
        ):
            if value is not None and file is not None:
                raise ValueError(f"{variable} and {variable}_FILE are both set; set one of them")
        if self.database_url_file is not None:
            self.database_url = _url_of_file(self.database_url_file, "CYPHERA_DATABASE_URL_FILE")
        if self.dagster_database_url_file is not None:
            self.dagster_database_url = _url_of_file(
                self.dagster_database_url_file, "CYPHERA_DAGSTER_DATABASE_URL_FILE"
            )
        if self.alert_mail_url_file is not None:
            self.alert_mail_url = read_secret_file(Path(self.alert_mail_url_file), "CYPHERA_ALERT_MAIL_URL_FILE")
        return self

    @field_validator("public_url", "ops_url", "dagster_ui_url")
    @classmethod
    def _public_address(cls, url: str | None) -> str | None:
        return None if url is None or not url.strip() else cls._web_address(url)

    @field_validator("dagster_url", "api_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        address = urlsplit(url.strip())
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("is not a web address; it should look like http://127.0.0.1:3000")
        return url.strip().rstrip("/")

    @field_validator("provider_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, hosts: object) -> object:
        return (
            tuple(host.strip().lower() for host in hosts.split(",") if host.strip())
            if isinstance(hosts, str)
            else hosts
        )

    @field_validator("previous_encryption_keys", mode="before")
    @classmethod
    def _split_keys(cls, keys: object) -> object:
        return tuple(key.strip() for key in keys.split(",") if key.strip()) if isinstance(keys, str) else keys

    def application_url(self) -> URL:
        """The URL of the product's own database, with the psycopg2 driver named. Only outside embedded mode."""
        if self.database_url is None:
            raise InvalidInputError("CYPHERA_DATABASE_URL is not set.", code=ErrorCode.SETTING_INVALID)
        return make_url(self.database_url.get_secret_value())

    def dagster_storage_url(self) -> URL:
        """The URL of Dagster's storage: `CYPHERA_DAGSTER_DATABASE_URL`, else database `dagster` on the same server."""
        if self.dagster_database_url is not None:
            return make_url(self.dagster_database_url.get_secret_value())
        return self.application_url().set(database="dagster")


def read_secret_file(path: Path, variable: str) -> SecretStr:
    """What is in the file that the variable names, or InvalidInputError."""
    try:
        text = path.expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInputError(
            f"{variable} names {path}, which cannot be read: {error.strerror}.", code=ErrorCode.SETTING_INVALID
        ) from None
    except UnicodeDecodeError:
        raise InvalidInputError(f"{variable} names {path}, which is no text.", code=ErrorCode.SETTING_INVALID) from None
    if not text:
        raise InvalidInputError(f"{variable} names {path}, which is empty.", code=ErrorCode.SETTING_INVALID)
    return SecretStr(text)


def _url_of_file(file: str, variable: str) -> SecretStr:
    url = read_secret_file(Path(file), variable).get_secret_value()
    try:
        return SecretStr(_normalise_postgres_url(url))
    except ValueError as error:
        raise ValueError(f"The contents of {file}, which {variable} names, {error}") from None


def _normalise_postgres_url(text: str) -> str:
    """SQLAlchemy 2.1 takes a bare `postgresql://` to mean psycopg 3; this project uses psycopg2 and must say so."""
    if not text.strip():
        raise ValueError(
            "is empty; unset it to use the embedded Postgres, or set it to postgresql://user:password@host/database"
        )
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        raise ValueError(
            "is not a database URL; it should look like postgresql://user:password@host:5432/database"
        ) from None
    if url.drivername.split("+")[0] not in ("postgresql", "postgres"):
        raise ValueError(f"names {url.drivername!r}; only postgresql:// URLs are supported")
    if not url.database:
        raise ValueError("names no database; it should look like postgresql://user:password@host:5432/database")
    return url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def load_settings() -> Settings:
    """Read the settings from the environment, or raise InvalidInputError with one line that names the variable."""
    try:
        return Settings()
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        reason = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            raise InvalidInputError(f"{reason}.", code=ErrorCode.SETTING_INVALID) from None
        field = str(problem["loc"][0])
        variable = field if field.isupper() else f"CYPHERA_{field.upper()}"
        raise InvalidInputError(f"{variable} {reason}.", code=ErrorCode.SETTING_INVALID) from None
