"""The option of commands that take some of a source's entities."""

from typing import Annotated

import typer

from cyphera_pipelines.model.entities import Entity, parse_entities
from cyphera_pipelines.model.errors import InvalidInputError

EntitiesOption = Annotated[
    list[str] | None, typer.Option(help="Only these entities: comma-separated or given several times.")
]


def chosen_entities(given: list[str] | None) -> tuple[Entity, ...]:
    """The entities that were named; all of them if the option was not given. Raises InvalidInputError."""
    names = [name.strip() for text in given or [] for name in text.split(",") if name.strip()]
    if given and not names:
        # Mostly a shell's variable that is not set: who meant some does not get all.
        raise InvalidInputError("--entities names none: name some, as in customers,prices, or leave it out for all.")
    return parse_entities(names)
