"""The wheel is the product: installed into a fresh environment, in an empty folder, without this checkout.

Nothing is fetched: the environment's other packages are those of the one that runs the tests.
"""

import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from tenacity import Retrying, retry_if_not_result, stop_after_delay, wait_fixed

from cyphera_pipelines import __version__, local
from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines.sandbox import demo_accounts
from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS
from cyphera_pipelines_tests.cli.test_services import when_ready

CHECKOUT = Path(__file__).resolve().parent.parent
READY_WITHIN = 240.0
DEMO_KEY = demo_accounts()[0].api_key


def test_the_changelog_tells_of_this_version() -> None:
    assert re.search(rf"^## {re.escape(__version__)}\b", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)


@dataclass(frozen=True)
class Installed:
    """A fresh environment, and an empty folder in which its user works."""

    wheel: Path
    environment: Path
    folder: Path
    home: Path

    @property
    def variables(self) -> dict[str, str]:
        """Nothing of ours; not even a place for temporary files that others use."""
        temporary = self.home.with_name("temporary")
        temporary.mkdir(exist_ok=True)
        return {"PATH": f"{self.environment / 'bin'}:/usr/bin:/bin", "HOME": str(self.home), "TMPDIR": str(temporary)}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(self.environment / "bin" / "cyphera"), *arguments],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, stdin: str = "") -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(stdin, timeout=READY_WITHIN)
        assert process.returncode == 0, output
        return output

    def package(self) -> set[Path]:
        """What lies in the installed package, but for what Python makes of it."""
        (package,) = self.environment.glob("lib/python*/site-packages/cyphera_pipelines")
        return {path for path in package.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def installed(quick_folder: Path | None) -> Iterator[Installed]:
    # Not pytest's own place: as root, each pytest that starts takes it away from the embedded server's account.
    with tempfile.TemporaryDirectory(prefix="wheel", dir=quick_folder) as place:
        yield _install(Path(place))
        local.stop(Path(place) / "empty" / ".cyphera")


def _install(place: Path) -> Installed:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", f"--wheel-dir={place}", str(CHECKOUT)], check=True)
    (wheel,) = place.glob("*.whl")
    environment, home = place / "environment", place / "home"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    subprocess.run([*pip, f"--python={environment / 'bin' / 'python'}", "install", *offline, str(wheel)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # A folder named like this is searched; its own .pth files, which lead to this checkout, are not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _lend_programs(environment)
    folder = place / "empty"
    for each in (folder, home):
        each.mkdir()
    return Installed(wheel, environment, folder, home)


def _lend_programs(environment: Path) -> None:
    """Dagster's programs, as if they had been installed here: scripts that begin with the path of their Python."""
    for program in Path(sys.executable).parent.glob("dagster*"):
        _own_python, _, script = program.read_text().partition("\n")
        lent = environment / "bin" / program.name
        lent.write_text(f"#!{environment / 'bin' / 'python'}\n{script}")
        lent.chmod(0o755)


@pytest.mark.slow
def test_an_installed_wheel_has_all_that_it_needs(installed: Installed) -> None:
    assert installed.run("--version").strip() == f"cyphera-pipelines {__version__}"
    names = zipfile.ZipFile(installed.wheel).namelist()
    for needed in ("cyphera_pipelines/dagster_home/dagster.yaml", "cyphera_pipelines/py.typed", "/licenses/LICENSE"):
        assert [name for name in names if name.endswith(needed)], needed
    assert not [name for name in names if "test" in Path(name).parts[0]]
    where = "import cyphera_pipelines, sys; sys.stdout.write(cyphera_pipelines.__file__)"
    found = subprocess.run(
        [installed.environment / "bin" / "python", "-c", where], cwd=installed.folder, capture_output=True, text=True
    ).stdout
    assert Path(found).is_relative_to(installed.environment)


@pytest.mark.slow
def test_demo_and_up_work_in_an_empty_folder_and_litter_nothing(installed: Installed) -> None:
    before = installed.package()
    assert "7. What demo-acme's analyst asks" in installed.run("demo")
    port, api_port, sandbox_port = (free_port() for _ in range(3))
    installed.run("workspace", "create", "shop")
    address = f"http://127.0.0.1:{sandbox_port}"
    installed.run("source", "add", "shop", "stripe", "--api-key-stdin", "--base-url", address, stdin=DEMO_KEY)
    headers = dict(re.findall(r"^(X-[\w-]+): (\S+)$", installed.run("key", "create", "shop"), re.MULTILINE))
    ports = ("--port", str(port), "--api-port", str(api_port), "--sandbox-port", str(sandbox_port))
    process = installed.start("up", "--sandbox", *ports)
    try:
        api = f"http://127.0.0.1:{api_port}"
        _wait_until(f"{api}/readyz", lambda answer: answer.status_code == 200)
        when_ready(lambda: requests.get(f"http://127.0.0.1:{port}/server_info", timeout=120)).raise_for_status()
        # Carried out by a run that the daemon starts in a process of its own.
        asked = {"entity_types": ["products"]}
        started = requests.post(f"{api}/api/v1/sync/stripe/initial", headers=headers, json=asked, timeout=60)
        assert started.status_code == 201, started.text
        status = f"{api}/api/v1/sync/sessions/{started.json()['session_id']}/status"
        _wait_until(status, lambda answer: answer.json()["status"] == "completed", headers)
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0, output
    local.stop(installed.folder / ".cyphera")
    assert {path.name for path in installed.folder.iterdir()} == {".cyphera"}
    assert list(installed.home.iterdir()) == []
    assert installed.package() == before
    shutil.rmtree(installed.folder / ".cyphera")


def _wait_until(url: str, holds: Callable[[requests.Response], bool], headers: dict[str, str] | None = None) -> None:
    def ask() -> bool:
        try:
            return holds(requests.get(url, headers=headers, timeout=120))
        except requests.ConnectionError:
            return False

    Retrying(retry=retry_if_not_result(bool), stop=stop_after_delay(READY_WITHIN), wait=wait_fixed(0.5))(ask)
