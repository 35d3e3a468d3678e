"""The log: one JSON object per line, with the id of the request that it belongs to, and without secrets."""

import logging
import sys
from datetime import UTC, datetime

import orjson

from cyphera_pipelines.api.request_id import current_request_id
from cyphera_pipelines.security.secrets import RedactingFilter


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`, `request_id`, `error` (a traceback), and `extra={"fields": ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id() or None,
            **getattr(record, "fields", {}),
            "error": record.exc_text or (self.formatException(record.exc_info) if record.exc_info else None),
        }
        return orjson.dumps({name: value for name, value in line.items() if value is not None}, default=str).decode()


def configure_logs(level: int = logging.INFO) -> None:
    """Send the process's log to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    silence_others()


def silence_others() -> None:
    """Switch off what libraries log of requests."""
    # Its lines would name clients and queries; ours stand for them.
    logging.getLogger("uvicorn.access").disabled = True
    # At every look at the schema it tells that it looked.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It logs each address that it asks.
    logging.getLogger("httpx").setLevel(logging.WARNING)
