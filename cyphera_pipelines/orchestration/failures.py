"""Failures that a person reads in a run's log: plain sentences, no chained tracebacks, no secrets."""

import traceback
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from dagster import Failure, MetadataValue
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.database_errors import error_code_of, reason_of

TextMetadata = dict[str, str]
ERROR_CODE = "error_code"
"""The name of the metadata that says what kind of error made a run fail."""


def failure(message: str, metadata: TextMetadata | None = None) -> Failure:
    """A failure that Dagster does not retry: the engine has tried whatever may help. Secrets are cut out."""
    shown = {name: text_value(redact(text)) for name, text in (metadata or {}).items()}
    return Failure(redact(message), metadata=shown, allow_retries=False)


def text_value(text: str) -> MetadataValue[str]:
    """The text as Dagster shows it: an address can be followed."""
    is_address = text.startswith(("http://", "https://")) and len(text.split()) == 1
    return MetadataValue.url(text) if is_address else MetadataValue.text(text)


def error_code_in(metadata: Mapping[str, MetadataValue[Any]]) -> ErrorCode | None:
    """The code that a failure's metadata hold; None if they hold none that this version knows."""
    with suppress(KeyError, ValueError):
        return ErrorCode(metadata[ERROR_CODE].value)
    return None


@contextmanager
def plain_failures(metadata: TextMetadata | None = None) -> Generator[None, None, None]:
    """Turn errors into failures. One of ours is its message, and so is a database that fails to do its work.

    Any other comes with its traceback, secrets cut out.
    """
    try:
        yield
    except Failure:
        raise
    except CypheraError as error:
        raise failure(str(error), _with_code(metadata, error)) from None
    except (OperationalError, PoolTimeoutError) as error:
        raise failure(f"The database failed: {reason_of(error)}.", _with_code(metadata, error)) from None
    except Exception as error:
        details = {**_with_code(metadata, error), "traceback": traceback.format_exc()}
        reason = next(iter(str(error).splitlines()), "no reason given")
        raise failure(f"An error of ours: {type(error).__name__}: {reason}", details) from None


def _with_code(metadata: TextMetadata | None, error: Exception) -> TextMetadata:
    return {**(metadata or {}), ERROR_CODE: error_code_of(error).value}
