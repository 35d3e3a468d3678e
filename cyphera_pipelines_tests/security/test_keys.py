from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.security.encryption import EncryptionKey
from cyphera_pipelines.security.keys import KEY_FILE, load_keyring
from cyphera_pipelines.settings import Settings


def embedded(home: Path) -> Settings:
    return Settings(home=home, database_url=None)


def test_in_embedded_mode_a_key_file_is_made_once(tmp_path: Path) -> None:
    first = load_keyring(embedded(tmp_path))
    file = tmp_path / KEY_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_keyring(embedded(tmp_path)) == first
    assert EncryptionKey.from_base64(file.read_text(), variable="file") == first.current
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_many_processes_agree_on_the_first_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keyrings = list(pool.map(load_keyring, [embedded(tmp_path)] * 8))
    assert len({keyring.current.key_id for keyring in keyrings}) == 1


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_keyring(embedded(tmp_path))
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(InvalidInputError, match="can be read by others"):
        load_keyring(embedded(tmp_path))


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, previous = EncryptionKey.generate(), EncryptionKey.generate()
    monkeypatch.setenv("PAYMENT_SYNC_ENCRYPTION_KEY", key.to_base64())
    monkeypatch.setenv("PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS", f"{previous.to_base64()}, ")
    keyring = load_keyring(embedded(tmp_path))
    assert (keyring.current, keyring.previous) == (key, (previous,))
    assert not (tmp_path / KEY_FILE).exists()


def test_a_database_of_ones_own_needs_a_key_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAYMENT_SYNC_ENCRYPTION_KEY", raising=False)
    monkeypatch.setenv("CYPHERA_DATABASE_URL", "postgresql://somewhere/db")
    with pytest.raises(InvalidInputError, match="PAYMENT_SYNC_ENCRYPTION_KEY is not set"):
        load_keyring(Settings(home=tmp_path))
