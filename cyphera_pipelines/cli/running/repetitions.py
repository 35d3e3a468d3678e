"""The same again and again is said once, and then how often."""

from dataclasses import dataclass, replace

from cyphera_pipelines.cli.running.messages import Message

WITHIN = 30.0
MOST_KINDS = 500


@dataclass
class _Repeated:
    until: float
    last: Message
    more: int = 0


class Repetitions:
    """Of messages that differ in numbers and ids only, lets one through in half a minute, and then one that counts."""

    def __init__(self) -> None:
        self._repeated: dict[tuple[str, str], _Repeated] = {}

    def take(self, message: Message, now: float) -> list[Message]:
        """What is to be said of a message that has just come."""
        known = self._repeated.get(message.kind)
        if known is not None and now < known.until:
            known.last, known.more = message, known.more + 1
            return []
        said = self.due(now)
        if len(self._repeated) < MOST_KINDS:
            self._repeated[message.kind] = _Repeated(now + WITHIN, message)
        return [*said, message]

    def due(self, now: float) -> list[Message]:
        """What is to be said of repetitions whose time is over."""
        over = [kind for kind, known in self._repeated.items() if now >= known.until]
        return [_count(known) for known in map(self._repeated.pop, over) if known.more]

    def rest(self) -> list[Message]:
        """What is to be said of all repetitions, at the end."""
        return self.due(float("inf"))


def _count(known: _Repeated) -> Message:
    times = "once more" if known.more == 1 else f"{known.more:,} more times"
    return replace(known.last, text=f"{known.last.text} ({times} within {WITHIN:.0f} s)", more="")
