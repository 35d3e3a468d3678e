"""Secrets that the operator deploys: in files that are replaced, and in AWS Secrets Manager, as moto serves it."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from cyphera_pipelines.model.errors import CypheraError, InvalidInputError
from cyphera_pipelines.security import deployed
from cyphera_pipelines.security.deployed import deployed_value
from cyphera_pipelines.security.encryption import Binding, DecryptionError, EncryptionKey
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.settings import DeployedSecret, Settings, load_settings
from cyphera_pipelines_tests.secrets_manager import REGION, SecretsManager, secrets_manager

BINDING = Binding(uuid4(), uuid4(), "stripe")
PLATFORM_SECRETS: dict[str, Callable[[Settings], DeployedSecret]] = {
    "STRIPE_API_KEY": lambda settings: settings.deployed_stripe_api_key,
    "STRIPE_WEBHOOK_SECRET": lambda settings: settings.deployed_stripe_webhook_secret,
    "PAYMENT_SYNC_ENCRYPTION_KEY": lambda settings: settings.deployed_encryption_key,
}


def new_key() -> str:
    return EncryptionKey.generate().to_base64()


def id_of(text: str) -> str:
    return EncryptionKey.from_base64(text, variable="test").key_id


@pytest.fixture(scope="module")
def served() -> Iterator[SecretsManager]:
    with secrets_manager() as started:
        yield started


@pytest.fixture
def aws(served: SecretsManager, environment: pytest.MonkeyPatch, tmp_path: Path) -> SecretsManager:
    """The environment of a process that may read it, whatever this machine knows of AWS."""
    for name, value in served.environment.items():
        environment.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        environment.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        environment.delenv(name, raising=False)
    return served


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a fresh value gets one, however often."""
    monkeypatch.setattr(deployed, "LEAST_SECONDS", 0.0)


@pytest.mark.parametrize("variable", PLATFORM_SECRETS)
def test_an_arn_wins_and_is_kept_until_somebody_finds_it_does_not_fit(
    variable: str, aws: SecretsManager, environment: pytest.MonkeyPatch, at_once: None
) -> None:
    name = f"kept/{variable}"
    environment.setenv(f"{variable}_ARN", aws.put(name, "planted-first-value"))
    environment.setenv(variable, "plain value")
    secret = PLATFORM_SECRETS[variable](load_settings())
    first = deployed_value(secret)
    assert first is not None
    assert (first.present.get_secret_value(), first.former) == ("planted-first-value", None)
    aws.rotate(name, "planted-second-value")
    assert deployed_value(secret) == first
    # As whoever meets a signature that does not fit does it.
    second = deployed_value(secret, fresh=True)
    assert second is not None
    assert second.former is not None
    assert (second.present.get_secret_value(), second.former.get_secret_value()) == (
        "planted-second-value",
        "planted-first-value",
    )
    assert deployed_value(secret) == second
    assert "planted" not in redact("planted-first-value planted-second-value") + repr(secret) + repr(second)


def test_what_is_presented_over_and_over_asks_aws_once(aws: SecretsManager, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STRIPE_WEBHOOK_SECRET_ARN", aws.put("asked/once", "value-before-rotation"))
    secret = load_settings().deployed_stripe_webhook_secret
    value = deployed_value(secret)
    aws.rotate("asked/once", "value-after-rotation")
    for _ in range(50):
        assert deployed_value(secret, fresh=True) == value


def test_what_was_read_is_read_anew_after_its_time_and_outlives_an_outage(
    aws: SecretsManager, environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    environment.setenv("STRIPE_API_KEY_ARN", aws.put("its/time", "value-before-rotation"))
    secret = load_settings().deployed_stripe_api_key
    deployed_value(secret)
    aws.rotate("its/time", "value-after-rotation")
    monkeypatch.setattr(deployed, "KEPT_SECONDS", 0.0)
    second = deployed_value(secret)
    assert second is not None
    assert second.present.get_secret_value() == "value-after-rotation"
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert deployed_value(secret) == second
    with pytest.raises(CypheraError, match="AWS cannot be reached"):
        deployed_value(secret, fresh=True)


def test_a_process_follows_the_rotation_of_the_encryption_key_in_aws(
    aws: SecretsManager, environment: pytest.MonkeyPatch, tmp_path: Path, at_once: None
) -> None:
    old, new = new_key(), new_key()
    environment.setenv("PAYMENT_SYNC_ENCRYPTION_KEY_ARN", aws.put("rotated/key", "no key at all"))
    aws.rotate("rotated/key", old)
    settings = Settings(home=tmp_path)
    # Two processes: one that was there before the rotation, and one that comes after it.
    running = load_keyring(settings)
    written_before = running.encrypt(b"before", BINDING)
    aws.rotate("rotated/key", new)
    environment.setattr(deployed, "_kept", {})
    started = load_keyring(settings)
    assert started.current.key_id == id_of(new)
    assert started.decrypt(written_before, BINDING) == b"before"
    written_after = started.encrypt(b"after", BINDING)
    environment.setattr(deployed, "_kept", {})
    assert running.current.key_id == id_of(old)
    assert running.decrypt(written_after, BINDING) == b"after"
    assert running.encrypt(b"now", BINDING).split(".")[1] == id_of(new)
    with pytest.raises(DecryptionError, match="which is not configured"):
        running.decrypt(written_after.replace(id_of(new), "00000000"), BINDING)


def test_a_file_of_keys_is_followed_while_it_is_replaced(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    file = tmp_path / "key"
    file.write_text(f"{old}\n")
    environment.setenv("PAYMENT_SYNC_ENCRYPTION_KEY_FILE", str(file))
    environment.setattr(deployed, "LEAST_SECONDS", 0.0)
    keyring = load_keyring(Settings(home=tmp_path))
    before = keyring.encrypt(b"before", BINDING)
    file.write_text(f"{new}\n{old}\n")
    other = load_keyring(Settings(home=tmp_path / "other process"))
    environment.setattr(deployed, "_kept", {})
    assert other.encrypt(b"x", BINDING).split(".")[1] == id_of(new)
    assert keyring.decrypt(before, BINDING) == b"before"
    assert [key.key_id for key in keyring.newest().previous] == [id_of(old)]
    assert not (tmp_path / "encryption.key").exists()


@pytest.mark.parametrize(
    ("stored", "suffix", "value"),
    [
        ("plain text\n", "", "plain text"),
        (json.dumps({"STRIPE_API_KEY": "by its name", "other": "x"}), "", "by its name"),
        (json.dumps({"anything": "the only one"}), "", "the only one"),
        (json.dumps({"live": "a", "test": "named member"}), ":test", "named member"),
        (json.dumps({"live": "a", "test": "named member"}), ":test::", "named member"),
    ],
)
def test_a_secret_is_text_or_a_member_of_a_json_object(
    stored: str, suffix: str, value: str, aws: SecretsManager, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("STRIPE_API_KEY_ARN", aws.put(f"shape/{uuid4().hex}", stored) + suffix)
    found = deployed_value(load_settings().deployed_stripe_api_key)
    assert found is not None
    assert found.present.get_secret_value() == value


def test_what_cannot_be_read_is_one_sentence_that_names_variable_and_arn(
    aws: SecretsManager, environment: pytest.MonkeyPatch
) -> None:
    arn = aws.put("unreadable", json.dumps({"one": "planted-1", "two": "planted-2"}))
    gone = arn.replace("unreadable", "gone")

    def refusal(named: str = arn) -> str:
        environment.setenv("STRIPE_API_KEY_ARN", named)
        environment.setattr(deployed, "_kept", {})
        with pytest.raises(CypheraError) as refused:
            deployed_value(load_settings().deployed_stripe_api_key)
        message = str(refused.value)
        assert message.startswith(f"STRIPE_API_KEY_ARN: the secret {named} cannot be read: ")
        assert "planted" not in message
        assert "\n" not in message
        return message.split("cannot be read: ")[1]

    assert refusal().startswith("it is a JSON object without a text 'STRIPE_API_KEY'; name the member")
    assert refusal(f"{arn}:three").startswith("it is a JSON object without a text 'three'")
    assert refusal(gone) == "there is no such secret."
    assert refusal("unreadable").startswith("no region is known; name the secret by its whole ARN")
    environment.setenv("AWS_DEFAULT_REGION", REGION)
    assert refusal("unreadable").startswith("it is a JSON object")
    with aws.asking_for_permission() as nobody:
        for name, value in nobody.items():
            environment.setenv(name, value)
        assert refusal().startswith("AWS does not allow it; grant secretsmanager:GetSecretValue")
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert refusal().startswith("AWS cannot be reached")
    for name in nobody:
        environment.delenv(name)
    assert refusal().startswith("there are no AWS credentials")


def test_a_secret_s_file_is_read_and_its_faults_are_named(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgres://app:planted@db/shop\n")
    environment.setenv("CYPHERA_DATABASE_URL_FILE", str(file))
    settings = load_settings()
    assert settings.application_url().password == "planted"
    assert not settings.is_embedded
    for contents, says in (
        ("mysql://app:planted@db/shop", f"contents of {file}, which CYPHERA_DATABASE_URL_FILE names, names 'mysql'"),
        (" \n", f"^CYPHERA_DATABASE_URL_FILE names {file}, which is empty"),
        (None, f"^CYPHERA_DATABASE_URL_FILE names {file}, which cannot be read: No such file"),
    ):
        file.unlink(missing_ok=True)
        if contents is not None:
            file.write_text(contents)
        with pytest.raises(InvalidInputError, match=says) as refused:
            load_settings()
        assert "planted" not in str(refused.value)
    environment.setenv("CYPHERA_DATABASE_URL", "postgres://app@db/shop")
    with pytest.raises(InvalidInputError, match=r"^CYPHERA_DATABASE_URL and CYPHERA_DATABASE_URL_FILE are both set"):
        load_settings()


def test_of_a_file_without_a_key_the_file_s_variable_is_named(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(base64.b64encode(b"short").decode())
    environment.setenv("PAYMENT_SYNC_ENCRYPTION_KEY_FILE", str(file))
    with pytest.raises(InvalidInputError, match="PAYMENT_SYNC_ENCRYPTION_KEY must be base64 of 32 bytes"):
        load_keyring(Settings(home=tmp_path))
