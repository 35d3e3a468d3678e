"""What a scenario finds out: figures with their units and targets."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """One measured value. `target` is the most that it should be."""

    name: str
    value: float
    unit: str = ""
    target: float | None = None


@dataclass
class Result:
    """A scenario's figures, in the order in which they are shown, and what a reader should know about them."""

    scenario: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str = "", *, target: float | None = None) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, value, unit, target))

    def value(self, name: str) -> float:
        """The value of the figure of that name. Raises KeyError if there is none."""
        for figure in self.figures:
            if figure.name == name:
                return figure.value
        raise KeyError(f"{self.scenario} has no figure {name!r}")
