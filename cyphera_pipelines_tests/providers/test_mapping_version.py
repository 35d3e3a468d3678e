"""The mapping's version goes up with every change of what rows are made of objects: see docs/developing.md.

Rows of a sample are compared, and not the code, so that code may be put in order without listing every account anew.
"""

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject, Row
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, entity_table
from cyphera_pipelines.providers.stripe.coupons import Coupon
from cyphera_pipelines.providers.stripe.mapping import MAPPED_SAMPLE, MAPPING_VERSION, map_objects

SAMPLE: dict[str, list[Any]] = orjson.loads(Path(__file__).with_name("sample_objects.json").read_bytes())
"""A few objects of each entity that between them have something in every field that is read, in old places too."""
COUPONS = {
    "EVERYTHING": Coupon("Everything", "12.5", None, None, "repeating", 3, ("prod_1",)),
    "AMOUNT": Coupon("An amount", None, 500, "usd", "forever", None, None, (("eur", 400),)),
}
_EMPTY: tuple[object, ...] = (None, [], {})

Rows = dict[str, list[Row]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """The rows of every table."""
    found: Rows = {name: [] for name in SYNCED_TABLES}
    for entity in Entity:
        for each in mapped(entity):
            found[entity_table(entity).name].append((each.id, each.livemode, *each.values))
            for name, children in each.children.items():
                found[name].extend((child.id, *child.values) for child in children)
    return found


def mapped(entity: Entity) -> list[MappedObject]:
    page = map_objects(entity, SAMPLE[entity.value], version=0.0, livemode=None, coupons=COUPONS)
    assert page.unmappable == []
    return page.objects


def test_the_sample_has_something_in_every_column(rows: Rows) -> None:
    empty = []
    for table in SYNCED_TABLES.values():
        values = list(zip(*(row[-len(table.columns) :] for row in rows[table.name]), strict=True))
        empty += [
            f"{table.name}.{column.name}"
            for column, found in zip(table.columns, values, strict=True)
            if all(value in _EMPTY for value in found)
        ]
    assert empty == [], "give an object of sample_objects.json a value that ends in these columns"


def test_rows_change_with_the_mappings_version_only(rows: Rows) -> None:
    columns = {
        name: [(column.name, column.kind, column.required) for column in table.columns]
        for name, table in SYNCED_TABLES.items()
    }
    digest = hashlib.sha256(orjson.dumps([columns, rows])).hexdigest()[:16]
    assert digest == MAPPED_SAMPLE.get(MAPPING_VERSION), (
        f"The sample's rows, or the columns, are not those of version {MAPPING_VERSION} of the mapping: their digest "
        f'is "{digest}". In providers/stripe/mapping.py, raise MAPPING_VERSION, so that every account is listed anew, '
        "and add the digest to MAPPED_SAMPLE; only if nothing but the sample changed, put it in the old one's place."
    )
    assert max(MAPPED_SAMPLE) == MAPPING_VERSION
    assert len(set(MAPPED_SAMPLE.values())) == len(MAPPED_SAMPLE)
