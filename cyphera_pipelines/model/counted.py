"""Numbers of things, for people."""

_OF_ONE = {"are": "is", "were": "was", "have": "has", "run": "runs", "wait": "waits"}


def counted(number: int, what: str, do: str | None = None) -> str:
    """As in "1 row" and "1,200 rows"; or with the verb "were", as in "1 row was" and "1,200 rows were"."""
    plural = "es" if what.endswith("s") else "s"
    noun = what if number == 1 else f"{what}{plural}"
    verb = _OF_ONE[do] if do is not None and number == 1 else do
    return f"{number:,} {noun}" if verb is None else f"{number:,} {noun} {verb}"
