import base64
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.security.encryption import Binding, DecryptionError, EncryptionKey, Keyring

bindings = st.builds(Binding, st.uuids(), st.uuids(), st.sampled_from(["stripe", "chargebee"]))
keys = st.binary(min_size=32, max_size=32).map(EncryptionKey)


@given(plaintext=st.binary(max_size=500), binding=bindings, key=keys)
def test_what_was_encrypted_is_decrypted(plaintext: bytes, binding: Binding, key: EncryptionKey) -> None:
    keyring = Keyring(key)
    assert keyring.decrypt(keyring.encrypt(plaintext, binding), binding) == plaintext


@given(binding=bindings, other=bindings, key=keys)
def test_a_ciphertext_moved_to_another_row_does_not_open(binding: Binding, other: Binding, key: EncryptionKey) -> None:
    keyring = Keyring(key)
    envelope = keyring.encrypt(b"secret", binding)
    if binding != other:
        with pytest.raises(DecryptionError, match=str(other.configuration_id)):
            keyring.decrypt(envelope, other)


@given(binding=bindings, key=keys, position=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_an_altered_ciphertext_does_not_open(binding: Binding, key: EncryptionKey, position: int, bit: int) -> None:
    keyring = Keyring(key)
    version, key_id, body = keyring.encrypt(b"secret", binding).split(".")
    sealed = bytearray(base64.b64decode(body))
    sealed[position % len(sealed)] ^= 1 << bit
    with pytest.raises(DecryptionError):
        keyring.decrypt(f"{version}.{key_id}.{base64.b64encode(sealed).decode()}", binding)


def test_the_same_text_never_looks_the_same_twice() -> None:
    keyring, binding = Keyring(EncryptionKey.generate()), Binding(uuid4(), uuid4(), "stripe")
    assert len({keyring.encrypt(b"secret", binding) for _ in range(50)}) == 50


def test_a_previous_key_still_opens_what_it_closed() -> None:
    old, new, binding = EncryptionKey.generate(), EncryptionKey.generate(), Binding(uuid4(), uuid4(), "stripe")
    envelope = Keyring(old).encrypt(b"secret", binding)
    assert Keyring(new, previous=(old,)).decrypt(envelope, binding) == b"secret"
    with pytest.raises(DecryptionError, match=f"encrypted with key {old.key_id}, which is not configured"):
        Keyring(new).decrypt(envelope, binding)


@pytest.mark.parametrize("stored", ["", "{}", '{"api_key": "x"}', "v1.", "v1.abc", "v2.abc.def", "v1.abc.###"])
def test_what_is_no_envelope_is_an_error_that_names_the_configuration(stored: str) -> None:
    binding = Binding(UUID(int=1), UUID(int=2), "stripe")
    with pytest.raises(DecryptionError, match=f"Configuration {UUID(int=2)} of workspace {UUID(int=1)}"):
        Keyring(EncryptionKey.generate()).decrypt(stored, binding)


@pytest.mark.parametrize(
    "text", ["", "abc", base64.b64encode(b"x" * 31).decode(), base64.b64encode(b"x" * 33).decode()]
)
def test_a_key_of_the_wrong_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="PAYMENT_SYNC_ENCRYPTION_KEY must be base64 of 32 bytes"):
        EncryptionKey.from_base64(text, variable="PAYMENT_SYNC_ENCRYPTION_KEY")


def test_a_key_does_not_show_itself() -> None:
    key = EncryptionKey.generate()
    shown = f"{key!r} {key} {Keyring(key)!r}"
    assert key.to_base64() not in shown
    assert repr(key.value) not in shown
