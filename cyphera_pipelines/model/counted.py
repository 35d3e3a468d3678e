"""Numbers of things, for people."""


def counted(number: int, what: str, are: str = "") -> str:
    """As in "1 row", "1,200 rows", or with `are` one of "are", "were" or "have" as in "1 row was" and "2 rows were"."""
    noun = what if number == 1 else f"{what}s"
    return " ".join(filter(None, (f"{number:,} {noun}", _OF_ONE[are] if number == 1 else are)))


_OF_ONE = {"": "", "are": "is", "were": "was", "have": "has"}
