"""The embedded Postgres for development, the demo and the tests: a real server, started on demand.

    postgres = start(Path(".cyphera"))
    engine = sqlalchemy.create_engine(postgres.url())

Any number of processes may call `start` for the same home; the last one to leave stops the server. What they
know of each other are locks (`flock`) that the kernel takes back when a process dies:

- `postgres.users.lock`: shared, held by every process that uses the server;
- `postgres.server.lock`: inherited by every process of the server, so that "is anything of it still alive?"
  has a true answer even after its postmaster was killed;
- `postgres.lock`: held while somebody starts or stops it.

A process that is killed with SIGKILL while it is the only user leaves the server running; the next one to
start uses it, and stops it.
"""

from cyphera_pipelines.local.errors import EmbeddedPostgresError
from cyphera_pipelines.local.handles import EmbeddedPostgres, is_running, is_used_by_others, start, stop

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "is_running", "is_used_by_others", "start", "stop"]
