"""AWS Secrets Manager as moto serves it, over HTTP."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3  # type: ignore[import-untyped]
import requests
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}


class SecretsManager:
    """One account's secrets, by name. `environment` is what a process needs to read them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": url}

    @cache  # noqa: B019 (there is one of it; a client takes a second to make)
    def client(self, service: str = "secretsmanager") -> Any:
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        return boto3.session.Session(**keys).client(service, region_name=REGION, endpoint_url=self.url)

    def put(self, name: str, value: str) -> str:
        """Make the secret and return its ARN."""
        return str(self.client().create_secret(Name=name, SecretString=value)["ARN"])

    def rotate(self, name: str, value: str) -> None:
        """Give it another value; the one before becomes the previous version."""
        self.client().put_secret_value(SecretId=name, SecretString=value)

    @contextmanager
    def asking_for_permission(self) -> Iterator[dict[str, str]]:
        """What a user sees who exists and may do nothing: its environment."""
        iam = self.client("iam")
        iam.create_user(UserName="nobody")
        key = iam.create_access_key(UserName="nobody")["AccessKey"]
        requests.post(f"{self.url}/moto-api/reset-auth", data="0", timeout=120).raise_for_status()
        try:
            yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        finally:
            requests.post(f"{self.url}/moto-api/reset-auth", data="inf", timeout=120).raise_for_status()


@contextmanager
def secrets_manager() -> Iterator[SecretsManager]:
    """Serve one, empty."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield SecretsManager(f"http://{host}:{port}")
    finally:
        server.stop()
