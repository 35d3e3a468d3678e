"""Secrets in AWS Secrets Manager, read with boto3: credentials and proxies are found as AWS' own tools find them."""

import json
from typing import Any

from pydantic import SecretStr

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
"""AWS' own names for a secret's present version, and for the one before the last rotation."""

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
ATTEMPTS = 2

_NOT_ALLOWED = (
    "AWS does not allow it; grant secretsmanager:GetSecretValue on it, and kms:Decrypt if a key of your own encrypts it"
)
_NO_SUCH_SECRET = "there is no such secret"  # noqa: S105 (a sentence)
_REASONS = {
    "ResourceNotFoundException": _NO_SUCH_SECRET,
    "AccessDeniedException": _NOT_ALLOWED,
    "403": _NOT_ALLOWED,
    "DecryptionFailure": "AWS may not decrypt it; grant kms:Decrypt on its key",
    "InvalidRequestException": "it is about to be deleted, or has no value",
    "UnrecognizedClientException": "AWS does not accept the credentials",
    "InvalidClientTokenId": "AWS does not accept the credentials",
    "InvalidSignatureException": "AWS does not accept the credentials",
    "ExpiredTokenException": "AWS' credentials have expired",
    "ThrottlingException": "AWS was asked too often; try again in a minute",
}


class SecretsManagerError(CypheraError):
    """A secret cannot be read; the message names its variable and ARN and says why."""

    code = ErrorCode.SECRETS_MANAGER_FAILED


def read_secret(arn: str, variable: str) -> tuple[SecretStr, SecretStr | None]:
    """The secret that `<variable>_ARN` names, and what it was before its last rotation, if that is to be had.

    A secret that is a JSON object has the value in the member that is called as the variable, or its only one; another
    is named behind the ARN, as in `arn:...:secret:payments-AbCdEf:member`. Raises SecretsManagerError within
    some 20 seconds.
    """
    # Takes a while to import, and most installations have no ARNs.
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    identifier, region, member = _parts(arn)
    try:
        client = _client(region)
        present = client.get_secret_value(SecretId=identifier, VersionStage=CURRENT)
        former = _former(client, identifier)
    except ClientError as error:
        code = _code(error)
        raise _unreadable(arn, variable, _REASONS.get(code, f"AWS answers {code or 'with an error'}")) from None
    except (BotoCoreError, ValueError) as error:
        raise _unreadable(arn, variable, _without_answer(error)) from None
    value = _value(present, member, arn, variable)
    try:
        return value, None if former is None else _value(former, member, arn, variable)
    except SecretsManagerError:
        # It had another shape once, which may be why it was changed.
        return value, None


def _former(client: Any, identifier: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        answer: dict[str, Any] = client.get_secret_value(SecretId=identifier, VersionStage=PREVIOUS)
    except ClientError as error:
        if _REASONS.get(_code(error)) in (_NO_SUCH_SECRET, _NOT_ALLOWED):
            return None
        raise
    return answer


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _client(region: str | None) -> Any:
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    limits = Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": ATTEMPTS}
    )
    # A session of its own: boto3's default one may not be shared by threads.
    return boto3.session.Session().client("secretsmanager", region_name=region, config=limits)


def _parts(arn: str) -> tuple[str, str | None, str | None]:
    """What AWS is asked for, its region and the JSON member. A secret's bare name has neither."""
    parts = arn.split(":")
    if parts[0] != "arn" or len(parts) < 7:
        return arn, None, None
    return ":".join(parts[:7]), parts[3] or None, parts[7] if len(parts) > 7 and parts[7] else None


def _value(answer: dict[str, Any], member: str | None, arn: str, variable: str) -> SecretStr:
    text = answer.get("SecretString")
    if text is None:
        raise _unreadable(arn, variable, "it holds bytes; store it as text")
    return SecretStr(_member(text, member, arn, variable))


def _member(text: str, member: str | None, arn: str, variable: str) -> str:
    try:
        members = json.loads(text) if text.lstrip().startswith("{") else None
    except ValueError:
        members = None
    if not isinstance(members, dict):
        if member is not None:
            raise _unreadable(arn, variable, f"it is no JSON object, so that it has no member {member!r}")
        return text.strip()
    if member is None:
        member = variable if variable in members or len(members) != 1 else next(iter(members))
    value = members.get(member)
    if not isinstance(value, str):
        raise _unreadable(
            arn, variable, f"it is a JSON object without a text {member!r}; name the member behind the ARN, as in :name"
        )
    return value.strip()


def _without_answer(error: Exception) -> str:
    from botocore import exceptions as known  # type: ignore[import-untyped]

    if isinstance(error, known.NoRegionError):
        return "no region is known; name the secret by its whole ARN, or set AWS_DEFAULT_REGION"
    if isinstance(error, known.NoCredentialsError | known.PartialCredentialsError | known.CredentialRetrievalError):
        return "there are no AWS credentials; give this process a role, or AWS_ACCESS_KEY_ID and its like"
    if isinstance(error, known.HTTPClientError | known.ConnectionError):
        return "AWS cannot be reached; see that its endpoint is reachable from here"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _unreadable(arn: str, variable: str, reason: str) -> SecretsManagerError:
    return SecretsManagerError(f"{variable}_ARN: the secret {arn} cannot be read: {reason}.")
