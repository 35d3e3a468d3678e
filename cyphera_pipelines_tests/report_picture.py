"""Draw docs/report.png: the report of a generated account, as Chromium shows it. Run by `make report-picture`."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pydantic import SecretStr

from cyphera_pipelines import local
from cyphera_pipelines.figures.build import build_figures
from cyphera_pipelines.figures.revenue import build_revenue
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session

WIDTH, HEIGHT = 1180, 1090
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def draw(target: Path) -> None:
    """Sync a generated business, count its figures, write its report, and take a picture of how it begins."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name)) is not None), None)
    if browser is None:
        sys.exit(f"A browser is needed: one of {', '.join(BROWSERS)}. On Debian: apt-get install chromium")
    account = SandboxAccount(
        api_key="sk_live_picture",
        account_id="acct_picture",
        seed=4,
        customers=240,
        products=6,
        prices=24,
        subscriptions=220,
        invoices=8_000,
        coupon_share=0.2,
        newest_created=int(time.time()),
    )
    with tempfile.TemporaryDirectory(prefix="picture") as folder:
        home, page = Path(folder) / "home", Path(folder) / "report.html"
        try:
            _sync(home, account)
            write = [str(Path(sys.executable).with_name("cyphera")), "report", "acme", "--currency", "usd"]
            subprocess.run([*write, "--out", str(page)], env={**os.environ, "CYPHERA_HOME": str(home)}, check=True)
            show = [browser, "--headless=new", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
            own = [f"--user-data-dir={folder}/browser", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
            subprocess.run([*show, *own, f"--screenshot={target.absolute()}", page.as_uri()], check=True)
        finally:
            local.stop(home)


def _sync(home: Path, account: SandboxAccount) -> None:
    """A workspace `acme` in that home, with the account's data and its figures."""
    settings = Settings(home=home)
    database, keyring = open_database(settings, pool_size=20), load_keyring(settings)
    try:
        with SandboxServer([account]) as sandbox:
            workspace = create_workspace(database, "acme", "Acme Ltd.")
            credentials = Credentials(api_key=SecretStr(account.api_key), base_url=sandbox.url)
            limits = {"rate_limits": {"account": 5_000, "endpoint": 5_000}}
            create_configuration(
                database, keyring, workspace, "stripe", credentials, is_test_mode=False, metadata=limits
            )
            source = find_source(database, "acme:stripe")
            session = open_session(database, source, SyncRequest())
            run_sync(SyncJob(database, keyring, source, session, SyncRequest()))
        build_figures(database, source, livemode=True)
        build_revenue(database, source, livemode=True)
    finally:
        database.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
