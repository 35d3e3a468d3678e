"""The page on adding a provider, followed to the letter: its package is installed, and everything works for it."""

import json
import re
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from cyphera_pipelines import local
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines_tests.cli.command import Cyphera
from cyphera_pipelines_tests.cli.test_api import serving as serving_api
from cyphera_pipelines_tests.providers.toypay.server import KEY, SECRET, SHOP, Json, Shop, serving, signed

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-provider.md"
CLIENTS, GOODS = 450, 230
LONG_AGO = 1_700_000_000


def blocks(language: str) -> str:
    """All of the page's code in that language, in its order."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def install(folder: Path) -> None:
    """Put the package where an installer would, entry point and all."""
    project = tomllib.loads(blocks("toml"))["project"]
    (folder / "toypay.py").write_text(blocks("python"))
    info = folder / f"cyphera_toypay-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


@dataclass
class Installation:
    """The command with the package installed, the shop, and the shop's address."""

    cyphera: Cyphera
    shop: Shop
    address: str

    def rows(self, table: str) -> dict[str, Json]:
        """Live rows by id, as the database holds them."""
        database = open_database(Settings(home=self.cyphera.home))
        try:
            with database.control() as connection:
                found = connection.execute(text(f"SELECT * FROM payments.{table} WHERE deleted_at IS NULL")).mappings()
                return {row["id"]: dict(row) for row in found}
        finally:
            database.close()

    def agrees(self) -> bool:
        """Whether the tables hold just what the shop has."""
        told = {
            kind: {each["id"]: each["name"] for each in found.values()} for kind, found in self.shop.objects.items()
        }
        kept = {kind: {name: row["name"] for name, row in self.rows(table).items()} for kind, table in TABLES.items()}
        return told == kept


TABLES = {"clients": "customers", "goods": "products"}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, quick_folder: Path | None) -> Iterator[Installation]:
    packages = tmp_path_factory.mktemp("packages")
    install(packages)
    shop = Shop()
    for number in range(CLIENTS):
        client = {"id": f"cl_{number:04}", "born": LONG_AGO + number * 3_600, "mail": f"{number}@example.com"}
        shop.put("clients", {**client, "name": f"Client {number}"}, LONG_AGO, is_told=False)
    for number in range(GOODS):
        good = {"id": f"gd_{number:04}", "name": f"Good {number}", "on_sale": number % 2 == 0}
        shop.put("goods", good, LONG_AGO, is_told=False)
    home = tmp_path_factory.mktemp("toy")
    with serving(shop) as address:
        cyphera = Cyphera(home, PYTHONPATH=str(packages))
        handle = local.start(home)
        cyphera("workspace", "create", "acme").done()
        yield Installation(cyphera, shop, address)
        handle.release()
        local.stop(home)


def test_it_is_found_and_its_options_are_asked_for(installation: Installation) -> None:
    cyphera, address = installation.cyphera, installation.address
    assert "toypay" in cyphera("provider", "list").done().lower()
    add = ("source", "add", "acme", "toypay", "--api-key-stdin", "--base-url", address)
    assert "needs the option shop" in cyphera(*add, stdin=KEY).error()
    assert "has no such option" in cyphera(*add, "--option", f"shop={SHOP}", "--option", "pot=1", stdin=KEY).error()
    assert "This is no shop." in cyphera(*add, "--option", "shop=NO SHOP", stdin=KEY).error()
    secret = ("--webhook-secret-env", "TOY_SECRET")
    cyphera(*add, "--option", f"shop={SHOP}", *secret, stdin=KEY, TOY_SECRET=SECRET).done()
    shown = cyphera("source", "show", "acme", "toypay", "--json").json()
    assert (shown["options"], shown["mode"]) == ({"shop": SHOP}, "test")
    assert "Connected to shop_1" in cyphera("source", "test", "acme", "toypay").done()


def test_it_is_synced_followed_and_verified(installation: Installation) -> None:
    cyphera, shop = installation.cyphera, installation.shop
    cyphera("sync", "acme", "toypay").done()
    assert installation.agrees()
    assert len([path for path in shop.asked if path == "/v1/goods"]) <= GOODS // 100 + 2

    # After whatever the listing saw, however quickly that was over.
    now = int(time.time()) + 1
    shop.put("clients", {"id": "cl_new", "born": now, "mail": None, "name": "Newcomer"}, now)
    shop.put("goods", {**shop.objects["goods"]["gd_0003"], "name": "Renamed"}, now)
    shop.remove("clients", "cl_0007", now)
    lists = [path for path in shop.asked if path in ("/v1/clients", "/v1/goods")]
    cyphera("sync", "acme", "toypay", "--delta").done()
    assert installation.agrees()
    assert [path for path in shop.asked if path in ("/v1/clients", "/v1/goods")] == lists

    # What no change ever told, a listing finds, and so does a verification before it.
    shop.remove("clients", "cl_0100", now, is_told=False)
    shop.remove("goods", "gd_0100", now, is_told=False)
    found = cyphera("verify", "acme", "toypay", "--json")
    assert found.code == 2
    assert "cl_0100" in found.out
    assert "gd_0100" in found.out
    cyphera("sync", "acme", "toypay", "--full").done()
    assert installation.agrees()
    assert cyphera("verify", "acme", "toypay").code == 0


def test_the_api_knows_it_and_takes_its_webhooks(installation: Installation) -> None:
    cyphera, shop = installation.cyphera, installation.shop
    headers = dict(line.split(": ") for line in cyphera("key", "create", "acme").done().splitlines())
    with serving_api(cyphera) as (_process, url):
        listed = requests.get(f"{url}/api/v1/sync/providers", headers=headers, timeout=120).json()["providers"]
        (toypay,) = [each for each in listed if each["name"] == "toypay"]
        assert toypay["entities"] == ["customers", "products"]
        assert [option["name"] for option in toypay["options"]] == ["shop"]
        configuration = requests.get(f"{url}/api/v1/sync/config/toypay", headers=headers, timeout=120).json()

        event = shop.put(
            "goods", {**shop.objects["goods"]["gd_0005"], "name": "Told by a webhook"}, int(time.time()) + 1
        )
        body, proof = signed(event)
        address = f"{url}/api/v1/sync/webhooks/toypay/{configuration['id']}"
        assert send(address, body, {"Toypay-Signature": "0" * 64}).status_code == 403
        taken = send(address, body, proof)
        assert (taken.status_code, taken.json()["status"]) == (200, "applied")
        assert send(address, body, proof).json()["status"] == "known"
    assert installation.rows("products")["gd_0005"]["name"] == "Told by a webhook"


def send(address: str, body: bytes, headers: dict[str, str]) -> requests.Response:
    return requests.post(address, data=body, headers={**headers, "Content-Type": "application/json"}, timeout=120)


def test_a_package_that_is_broken_leaves_the_others(
    installation: Installation, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    install(tmp_path)
    (tmp_path / "toypay.py").write_text("raise RuntimeError('written for another version')\n")
    found = installation.cyphera("source", "test", "acme", "toypay", PYTHONPATH=str(tmp_path)).err
    assert "the package cyphera-toypay cannot be used (RuntimeError: written for another version)" in found
    listed: Any = installation.cyphera("provider", "list", "--json", PYTHONPATH=str(tmp_path)).json()
    assert "stripe" in json.dumps(listed)
