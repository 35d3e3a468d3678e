import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest
import sqlalchemy

from cyphera_pipelines import local
from cyphera_pipelines.local import handles, server, sockets
from cyphera_pipelines.local.cluster import HomeFiles, installation
from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines_tests.local_user import query

USER_PROGRAM = Path(__file__).with_name("local_user.py")
DEADLINE_SECONDS = 120.0
# A data directory is 1,600 small files, which memory makes sooner than a disk.
_MEMORY = Path("/dev/shm")  # noqa: S108 (made private by tempfile)
QUICK_FOLDER = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2**31 else None

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run programs as other users")


class User:
    """A process that uses the server; see local_user.py."""

    def __init__(self, home: Path, account: str | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(USER_PROGRAM), str(home), *([account] if account else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, command: str) -> str:
        self.tell(command)
        return self.answer()

    def end(self) -> int:
        """Let it end as a program does, its exit handlers included."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(DEADLINE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="local", dir=QUICK_FOLDER) as folder:
        home = Path(folder) / "home"
        handle = local.start(home)
        query(handle.psql_url(), "CREATE TABLE kept AS SELECT 'yes' AS answer")
        handle.release()
        yield home


@pytest.fixture(scope="module", autouse=True)
def _nobody_elses_holds() -> Iterator[None]:
    """These tests leave all servers that this process uses, which must not be the one of the tests around them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handles, "_holds", {})
        yield


@pytest.fixture
def home(shared_home: Path) -> Iterator[Path]:
    """A home that was used and stopped before. All tests get the same one: what they change in it stays."""
    yield shared_home
    handles._leave_all()
    local.stop(shared_home)


@pytest.fixture
def homes(shared_home: Path) -> Iterator[Callable[..., Path]]:
    """Makes homes of one test's own, as copies of `home` or empty."""
    made: list[Path] = []
    folder = Path(tempfile.mkdtemp(prefix="local", dir=QUICK_FOLDER))

    def make(name: str = "home", *, initialised: bool = True) -> Path:
        home = folder / name
        home.parent.mkdir(parents=True, exist_ok=True)
        if initialised:
            subprocess.run(["cp", "-a", str(shared_home), str(home)], check=True)
        made.append(home)
        return home

    yield make
    handles._leave_all()
    for home in made:
        local.stop(home)
    shutil.rmtree(folder)


@pytest.fixture
def users() -> Iterator[Callable[..., User]]:
    started: list[User] = []

    def start(home: Path, account: str | None = None) -> User:
        started.append(User(home, account))
        return started[-1]

    yield start
    for user in started:
        user.kill()


@pytest.fixture
def other_account() -> Iterator[str]:
    """A normal user of this system, for one test."""
    name = f"cy{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", name], check=True)
    yield name
    subprocess.run(["userdel", "--force", name], check=True)


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0]))


def kept(handle: local.EmbeddedPostgres) -> str:
    return query(handle.psql_url(), "SELECT answer FROM kept")


# --- what a caller gets


def test_a_first_start_makes_both_databases_and_listens_on_the_socket_only(
    homes: Callable[..., Path],
) -> None:
    home = homes(initialised=False)
    handle = local.start(home)
    assert local.is_running(home)
    for database in ("cyphera", "dagster"):
        assert query(handle.psql_url(database), "SELECT current_database()") == database
    assert query(handle.psql_url(), "SHOW listen_addresses") == ""
    assert not [c for c in postmaster(home).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert stat.S_IMODE(handle.directory.stat().st_mode) == 0o700
    handle.release()
    assert not local.is_running(home)


def test_text_is_utf8_and_sorts_alike_everywhere_and_nothing_is_unsafe(home: Path) -> None:
    url = local.start(home).psql_url()
    assert query(url, "SHOW server_encoding") == "UTF8"
    assert query(url, "SELECT upper('é')") == "É"
    assert query(url, "SELECT string_agg(t, '' ORDER BY t) FROM unnest('{b,A,a,B}'::text[]) t") == "ABab"
    assert query(url, "SHOW timezone") == "UTC"
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert query(url, f"SHOW {setting}") == "on"


def test_both_urls_are_understood_even_if_the_environment_names_another_port(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    handle = local.start(home)
    engine = sqlalchemy.create_engine(handle.url())
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT answer FROM kept")) == "yes"
    engine.dispose()
    psql = [str(installation() / "bin" / "psql"), handle.psql_url(), "-Atc", "SELECT answer FROM kept"]
    assert subprocess.run(psql, capture_output=True, text=True, check=True).stdout == "yes\n"


def test_handles_of_one_process_are_counted_and_release_may_be_repeated(home: Path) -> None:
    first, second = local.start(home), local.start(home)
    first.release()
    first.release()
    assert local.is_running(home)
    second.release()
    assert not local.is_running(home)
    assert kept(local.start(home)) == "yes"


def test_a_pool_that_this_process_still_has_open_does_not_keep_the_server(home: Path) -> None:
    handle = local.start(home)
    with closing(psycopg2.connect(handle.psql_url())):
        handle.release()
        assert not local.is_running(home)


def test_stop_says_whether_it_ran_and_makes_nothing(homes: Callable[..., Path]) -> None:
    home = homes(initialised=False)
    assert not local.stop(home)
    assert not local.is_running(home)
    assert not home.exists()
    handle = local.start(home)
    assert local.stop(home)
    assert not local.stop(home)
    handle.release()


def test_the_log_holds_neither_statements_nor_values(home: Path) -> None:
    handle = local.start(home)
    with pytest.raises(psycopg2.Error):
        query(handle.psql_url(), "INSERT INTO pg_database SELECT * FROM pg_database WHERE datname <> 'secret'")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        query(
            handle.psql_url(),
            "CREATE TABLE t (k text PRIMARY KEY); INSERT INTO t VALUES ('secret'), ('secret')",
        )
    log = HomeFiles(home).log.read_text()
    assert "duplicate key" in log
    assert "secret" not in log


# --- several processes


def test_the_last_of_two_processes_stops_the_server(home: Path, users: Callable[..., User]) -> None:
    first, second = users(home), users(home)
    assert first.ask("start") == second.ask("start") == "done"
    pid = postmaster(home).pid
    assert first.end() == 0
    assert second.ask("query SELECT answer FROM kept") == "yes"
    assert postmaster(home).pid == pid
    assert second.end() == 0
    assert not local.is_running(home)


def test_a_killed_process_neither_stops_nor_keeps_the_server(home: Path, users: Callable[..., User]) -> None:
    killed, living = users(home), users(home)
    assert killed.ask("start") == living.ask("start") == "done"
    killed.kill()
    assert living.ask("query SELECT answer FROM kept") == "yes"
    assert living.ask("release") == "done"
    assert not local.is_running(home)


def test_a_server_whose_only_user_was_killed_is_found_again(home: Path, users: Callable[..., User]) -> None:
    killed = users(home)
    assert killed.ask("start") == "done"
    killed.kill()
    pid = postmaster(home).pid
    handle = local.start(home)
    assert postmaster(home).pid == pid
    handle.release()
    assert not local.is_running(home)


def test_four_first_starts_at_once_make_one_server(homes: Callable[..., Path], users: Callable[..., User]) -> None:
    home = homes(initialised=False)
    starting = [users(home) for _ in range(4)]
    for user in starting:
        user.tell("start")
    assert [user.answer() for user in starting] == ["done"] * 4
    assert len({user.ask("query SELECT pg_postmaster_start_time()") for user in starting}) == 1
    assert [user.end() for user in starting] == [0] * 4
    assert not local.is_running(home)


def test_starts_that_race_with_stops_always_find_a_server(home: Path, users: Callable[..., User]) -> None:
    racing = [users(home) for _ in range(2)]
    for user in racing:
        user.tell("repeat 25")
    assert [user.answer() for user in racing] == ["done"] * 2
    assert not local.is_running(home)


def test_threads_of_one_process_may_start_and_release_at_once(home: Path) -> None:
    answers: list[str] = []

    def use() -> None:
        for _ in range(5):
            handle = local.start(home)
            answers.append(kept(handle))
            handle.release()

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["yes"] * 15
    assert not local.is_running(home)


def test_two_homes_have_two_servers(homes: Callable[..., Path]) -> None:
    first, second = local.start(homes("first")), local.start(homes("second"))
    query(first.psql_url(), "UPDATE kept SET answer = 'changed'")
    assert (kept(first), kept(second)) == ("changed", "yes")
    first.release()
    assert kept(second) == "yes"


def test_stop_stops_what_others_use_and_they_may_start_again(home: Path, users: Callable[..., User]) -> None:
    user = users(home)
    assert user.ask("start") == "done"
    assert local.stop(home)
    assert user.ask("start") == "done"
    assert user.ask("query SELECT answer FROM kept") == "yes"
    assert user.end() == 0
    assert not local.is_running(home)


def test_a_kept_server_outlives_its_users_until_it_is_stopped(home: Path, users: Callable[..., User]) -> None:
    keeper = users(home)
    assert keeper.ask("keep") == "done"
    assert keeper.end() == 0
    assert local.is_running(home)
    local.start(home).release()
    assert local.is_running(home)
    assert local.stop(home)
    local.start(home).release()
    assert not local.is_running(home)


def test_a_person_with_psql_keeps_the_server(home: Path, users: Callable[..., User]) -> None:
    user = users(home)
    assert user.ask("start") == "done"
    url = local.start(home).psql_url()
    person = subprocess.Popen(
        [str(installation() / "bin" / "psql"), url, "-At"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert person.stdin is not None
    assert person.stdout is not None
    person.stdin.write("SELECT answer FROM kept;\n")
    person.stdin.flush()
    assert person.stdout.readline() == "yes\n"
    assert user.end() == 0
    for handle in [local.start(home) for _ in range(2)]:
        handle.release()
    handles._leave_all()
    assert local.is_running(home)
    person.communicate("SELECT 1;\n", timeout=DEADLINE_SECONDS)
    local.start(home).release()
    assert not local.is_running(home)


def test_an_interrupt_from_the_terminal_leaves_the_server_to_its_users(home: Path, users: Callable[..., User]) -> None:
    user = users(home)
    assert user.ask("start") == "done"
    os.killpg(user.process.pid, signal.SIGINT)
    assert user.answer() == "interrupted, server alive"
    assert os.getsid(postmaster(home).pid) not in (user.process.pid, os.getsid(0))
    assert user.end() == 0
    assert not local.is_running(home)


def test_a_forked_child_does_not_stop_its_parents_server(home: Path, users: Callable[..., User]) -> None:
    user = users(home)
    assert user.ask("start") == "done"
    assert user.ask("fork") == "done"
    assert user.ask("query SELECT answer FROM kept") == "yes"
    assert user.ask("release") == "done"
    assert not local.is_running(home)


# --- what went wrong before


def test_a_killed_postmaster_loses_nothing(home: Path) -> None:
    handle = local.start(home)
    with closing(psycopg2.connect(handle.psql_url())) as client, client.cursor() as cursor:
        cursor.execute("CREATE TABLE crash AS SELECT 'committed' AS answer")
        client.commit()
        cursor.execute("INSERT INTO crash VALUES ('not committed')")
        postmaster(home).kill()
        again = local.start(home)
        assert query(again.psql_url(), "SELECT string_agg(answer, ',') FROM crash") == "committed"


def test_a_busy_backend_of_a_killed_postmaster_is_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PATIENCE_SECONDS", 0.2)
    handle = local.start(home)
    with closing(psycopg2.connect(handle.psql_url())) as client, client.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone() or (0,)
        thread = threading.Thread(target=_count_for_ever, args=(cursor,))
        thread.start()
        busy = psutil.Process(backend)
        started = busy.cpu_times().user
        assert wait_until(lambda: busy.cpu_times().user > started + 0.05, DEADLINE_SECONDS)
        postmaster(home).kill()
        assert kept(local.start(home)) == "yes"
        thread.join(DEADLINE_SECONDS)
    assert not busy.is_running() or busy.status() == psutil.STATUS_ZOMBIE


def _count_for_ever(cursor: psycopg2.extensions.cursor) -> None:
    with pytest.raises(psycopg2.OperationalError):
        cursor.execute("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b")


def test_a_start_that_was_killed_in_the_middle_of_initdb_is_repeated(
    homes: Callable[..., Path], users: Callable[..., User]
) -> None:
    # It may be over before this process looks again, if the machine has much else to do.
    for attempt in range(10):
        files = HomeFiles(homes(f"home{attempt}", initialised=False))
        user = users(files.home)
        user.tell("start")

        def has_begun(files: HomeFiles = files) -> bool:
            return (files.unfinished_data / "base").exists() or files.data.exists()

        assert wait_until(has_begun, DEADLINE_SECONDS)
        user.kill()
        if not files.data.exists():
            break
    home = files.home
    assert files.unfinished_data.exists()
    handle = local.start(home)
    assert query(handle.psql_url("dagster"), "SELECT 1") == "1"
    assert not HomeFiles(home).unfinished_data.exists()


@pytest.mark.parametrize(
    "content", ["", "\n", "not a number\n", "{alive}\n", "{alive}\n{data}\n1\n5432\n{data}\n\n1 2\nready\n"]
)
def test_a_stale_pid_file_does_not_matter(home: Path, content: str) -> None:
    files = HomeFiles(home)
    # Our own process stands for a program that has got the dead server's process id.
    content = content.format(alive=os.getpid(), data=files.data)
    (files.data / "postmaster.pid").write_text(content)
    (files.data / f"{sockets.SOCKET_NAME}.lock").write_text(content)
    assert not local.is_running(home)
    assert not local.stop(home)
    assert kept(local.start(home)) == "yes"


def test_a_moved_home_is_the_same_database(homes: Callable[..., Path]) -> None:
    home = homes()
    local.start(home).release()
    moved = homes("moved", initialised=False)
    home.rename(moved)
    assert kept(local.start(moved)) == "yes"


def test_a_home_that_is_moved_while_its_server_runs_still_has_it(homes: Callable[..., Path]) -> None:
    home = homes()
    local.start(home, keep_running=True).release()
    moved = homes("moved", initialised=False)
    home.rename(moved)
    pid = postmaster(moved).pid
    assert kept(local.start(moved)) == "yes"
    assert postmaster(moved).pid == pid
    assert local.stop(moved)


def test_a_home_copied_from_a_running_server_is_a_database_of_its_own(home: Path, homes: Callable[..., Path]) -> None:
    original = local.start(home)
    copied = homes("copied", initialised=False)
    # Without -a: as root, everything in the copy is root's, and the modes are those of the umask.
    subprocess.run(["cp", "-r", str(home), str(copied)], check=True)
    assert not local.is_running(copied)
    copy = local.start(copied)
    query(copy.psql_url(), "UPDATE kept SET answer = 'copy'")
    assert (kept(original), kept(copy)) == ("yes", "copy")


def test_a_home_that_is_deleted_while_it_is_used_can_be_made_again(homes: Callable[..., Path]) -> None:
    home, deleted = homes(), homes("deleted", initialised=False)
    old = local.start(home)
    home.rename(deleted)
    new = local.start(home)
    assert query(new.psql_url(), "SELECT to_regclass('kept') IS NULL") == "True"
    old.release()
    assert local.is_running(home)
    new.release()
    assert not local.is_running(home)


@pytest.mark.parametrize("name", ["long/" + "x" * 120, 'awk ward\'s, "$HOME" `id` %41 é'])
def test_a_path_that_no_socket_can_have_gets_a_private_directory(homes: Callable[..., Path], name: str) -> None:
    home = homes(name)
    handle = local.start(home)
    assert handle.socket_directory != handle.directory
    assert stat.S_IMODE(handle.socket_directory.stat().st_mode) == 0o700
    assert handle.socket_directory.stat().st_uid == handle.directory.stat().st_uid
    assert local.is_running(home)
    assert kept(handle) == "yes"
    engine = sqlalchemy.create_engine(handle.url())
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1
    engine.dispose()
    handle.release()
    assert not handle.socket_directory.exists()


# --- who may


@needs_root
def test_a_socket_directory_made_by_somebody_else_is_refused(homes: Callable[..., Path], other_account: str) -> None:
    home = homes("x" * 120)
    squatted = sockets.choose_socket_directory(HomeFiles(home.resolve()).data)
    squatted.mkdir(mode=0o777)
    shutil.chown(squatted, other_account)
    try:
        with pytest.raises(local.EmbeddedPostgresError, match="another user made it"):
            local.start(home)
    finally:
        squatted.rmdir()


@needs_root
def test_a_normal_user_has_a_server_which_root_may_use_too(
    homes: Callable[..., Path], users: Callable[..., User], other_account: str
) -> None:
    folder = homes("folder/home", initialised=False).parent
    folder.parent.chmod(0o755)
    shutil.chown(folder, other_account)
    home = folder / "home"
    user = users(home, other_account)
    assert user.ask("start") == "done"
    assert user.ask("query SELECT current_database()") == "cyphera"
    assert postmaster(home).username() == other_account
    handle = local.start(home)
    assert user.end() == 0
    assert query(handle.psql_url(), "SELECT 1") == "1"
    handle.release()
    assert not local.is_running(home)
    as_root = local.start(home)
    assert postmaster(home).username() == other_account
    as_root.release()
    again = users(home, other_account)
    assert again.ask("start") == "done"
    assert again.end() == 0


@needs_root
def test_a_normal_user_is_told_that_the_home_is_roots(
    homes: Callable[..., Path], users: Callable[..., User], other_account: str
) -> None:
    home = homes()
    home.parent.chmod(0o755)
    local.start(home).release()
    answer = users(home, other_account).ask("start")
    assert answer.startswith("error: ")
    assert "run as the user that created it" in answer
    home.chmod(0o777)
    for lock in home.glob("*.lock"):
        lock.unlink()
    assert "belongs to the user pgserver" in users(home, other_account).ask("start")


@needs_root
def test_folders_above_the_home_only_gain_the_right_to_pass(homes: Callable[..., Path]) -> None:
    home = homes("closed/home")
    home.parent.chmod(0o700)
    local.start(home).release()
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o701


# --- what a person reads


def test_another_versions_directory_is_refused(home: Path) -> None:
    (HomeFiles(home).data / "PG_VERSION").write_text("16\n")
    with pytest.raises(local.EmbeddedPostgresError, match=r"made by PostgreSQL 16, but .* runs PostgreSQL 18"):
        local.start(home)
    (HomeFiles(home).data / "PG_VERSION").write_text("18\n")


def test_a_directory_that_is_something_else_is_refused(homes: Callable[..., Path]) -> None:
    home = homes(initialised=False)
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "notes.txt").write_text("mine")
    with pytest.raises(local.EmbeddedPostgresError, match="is not a Postgres data directory"):
        local.start(home)
    shutil.rmtree(home)


def test_a_server_that_does_not_start_says_why(home: Path) -> None:
    configuration = HomeFiles(home).data / "postgresql.auto.conf"
    configuration.write_text("work_mem = 'plenty'\n")
    with pytest.raises(local.EmbeddedPostgresError, match=r"ended while it started(.|\n)*work_mem.*plenty"):
        local.start(home)
    assert not local.is_running(home)
    configuration.write_text("")
    assert kept(local.start(home)) == "yes"


def test_a_home_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(local.EmbeddedPostgresError, match=os.strerror(errno.ENOTDIR)):
        local.start(tmp_path / "file" / "home")


def test_starting_leaves_no_descriptor_open(home: Path) -> None:
    local.start(home).release()
    grown = []
    for _ in range(3):
        before = len(list(Path("/dev/fd").iterdir()))
        local.start(home).release()
        grown.append(len(list(Path("/dev/fd").iterdir())) - before)
    assert min(grown) <= 0, "what is left open is so each time; other tests' servers may open something meanwhile"
