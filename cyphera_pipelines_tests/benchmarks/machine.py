"""Where the figures come from: without it they mean little."""

import os
import platform
from importlib.metadata import version

from sqlalchemy import text

from cyphera_pipelines.store.database import Database


def describe_machine(database: Database) -> dict[str, str]:
    """The machine's CPUs and how busy they are, and the versions that matter."""
    with database.control() as connection:
        postgres = connection.execute(text("SHOW server_version")).scalar_one()
    return {
        "CPUs": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "machine": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "PostgreSQL": str(postgres),
        "cyphera-pipelines": version("cyphera-pipelines"),
        "stripe": version("stripe"),
    }
