"""A process that carries out writes at the ledger, some at once, and is killed on the way.

Arguments: the source's key, the first number, the last, and a seed. Whatever is under way already, or unknown, is left
to others; every write that is settled is not asked for again.
"""

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.operations import holding
from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.carrying_out import carry_out
from cyphera_pipelines.providers.base import CustomerRequest, ObjectKind, Operation
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.operations.ledger import ledger_provider

AT_ONCE = 6


def carry(database: Database, keyring: Keyring, source: Source, number: int) -> None:
    request = CustomerRequest(name=f"Customer {number}", email=f"{number}@example.com")
    asked = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, request)
    try:
        carry_out(database, keyring, source, asked, f"key {number}")
    except CypheraError as error:
        print(f"{number}: {error}", flush=True)


def main() -> None:
    key, first, last, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    # So that the test does not have to wait for long until a killed process counts as gone.
    holding.SAID_EVERY = 0.5
    settings = load_settings()
    database, keyring = open_database(settings, pool_size=AT_ONCE), load_keyring(settings)
    numbers = list(range(first, last))
    random.Random(seed).shuffle(numbers)
    with ledger_provider(), ThreadPoolExecutor(AT_ONCE) as threads:
        source = find_source(database, key)
        print("ready", flush=True)
        list(threads.map(partial(carry, database, keyring, source), numbers))
    print("over", flush=True)


if __name__ == "__main__":
    main()
