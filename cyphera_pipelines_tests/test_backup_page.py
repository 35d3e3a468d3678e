"""docs/backup.md, followed to the letter: what it says is done, on two servers with logins that are no superusers."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from cyphera_pipelines.local.cluster import installation
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import EncryptionKey
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.cli.command import PROGRAM, Cyphera
from cyphera_pipelines_tests.other_postgres import OtherServer, other_server
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

PAGE = Path(__file__).resolve().parent.parent / "docs" / "backup.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ACCOUNT = SandboxAccount(
    api_key="sk_test_backup",
    account_id="acct_backup",
    seed=8,
    customers=40,
    products=6,
    prices=12,
    subscriptions=20,
    invoices=40,
    long_invoice_share=0.1,
)


def blocks() -> dict[str, list[str]]:
    """The page's commands by heading."""
    sections = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {title: BLOCK.findall(text) for title, text in zip(sections[::2], sections[1::2], strict=True)}


@dataclass
class Operator:
    """Somebody at a shell, in a folder."""

    folder: Path
    environment: dict[str, str]

    def does(self, *commands: str) -> str:
        path = f"{installation() / 'bin'}:{PROGRAM.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
            cwd=self.folder,
            env={**self.environment, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def servers(quick_folder: Path | None) -> Iterator[tuple[OtherServer, OtherServer]]:
    with other_server(installation(), quick_folder) as old, other_server(installation(), quick_folder) as new:
        for server in (old, new):
            server.run("CREATE ROLE cyphera LOGIN CREATEROLE")
        yield old, new


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="The page's commands are for bash.")
def test_a_backup_is_restored_on_another_server_and_the_key_is_rotated(
    servers: tuple[OtherServer, OtherServer], tmp_path: Path
) -> None:
    old, new = servers
    old_key, new_key = (EncryptionKey.generate() for _ in range(2))
    page = blocks()
    variables = {"CYPHERA_DATABASE_URL": old.url("cyphera", "cyphera"), "CYPHERA_PROVIDER_HOSTS": "127.0.0.1"}
    cyphera = Cyphera(tmp_path / "home", **variables, PAYMENT_SYNC_ENCRYPTION_KEY=old_key.to_base64())
    operator = Operator(tmp_path, {**cyphera.environment, "ADMINISTRATOR_URL": old.url()})
    (make_databases, restore) = page["Restore it"]
    with SandboxServer([ACCOUNT]) as sandbox:
        operator.does(make_databases, "cyphera db upgrade", "cyphera workspace create acme")
        operator.does(
            f"echo {ACCOUNT.api_key} | cyphera source add acme stripe --api-key-stdin --base-url {sandbox.url}",
            "cyphera sync acme stripe",
        )
        told = operator.does(*page["Back up a server of one's own"])
        assert re.search(rf"^{old_key.key_id} +newest +1 +0 +0 *$", told, re.MULTILINE)
        sandbox.state.apply_changes(ACCOUNT.account_id, create={"customers": 3}, update={"invoices": 4})

        operator.environment |= {
            "CYPHERA_DATABASE_URL": new.url("cyphera", "cyphera"),
            "ADMINISTRATOR_URL": new.url(),
        }
        operator.does(make_databases)
        *restoring, upgrade, check = restore.replace("\\\n", " ").strip().splitlines()
        assert (upgrade, check) == ("cyphera db upgrade", "cyphera db check")
        operator.does(*restoring)
        refused = operator.does("! cyphera sync acme stripe 2>&1", "! cyphera db check 2>&1")
        assert "lacks roles or privileges" in refused
        assert re.search(r"^roles +wrong +missing, or not to be entered: cyphera_tenant", refused, re.MULTILINE)
        told = operator.does(upgrade, check)
        assert not re.search(r"\b(wrong|unknown)\b", told)

        # Nothing is listed anew: what changed since the dump comes from the provider's events.
        operator.does("cyphera sync acme stripe --delta")
        settings = Settings(home=tmp_path, database_url=SecretStr(new.url("cyphera", "cyphera")))
        database = open_database(settings)
        source = find_source(database, "acme:stripe")
        assert_tables_equal_truth(database, source, sandbox.state, ACCOUNT.account_id)
        database.close()

        (rotate,) = page["Rotate the encryption key"]
        operator.environment |= {
            "PAYMENT_SYNC_ENCRYPTION_KEY": new_key.to_base64(),
            "PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS": old_key.to_base64(),
        }
        told = operator.does(rotate)
        assert f"Configurations re-encrypted with key {new_key.key_id}: 1." in told
        assert f"Nothing depends on key {old_key.key_id}: it can be taken away." in told
        del operator.environment["PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS"]
        operator.does("cyphera source test acme stripe", "cyphera db check")
