"""Secrets are cut out of whatever a run logs."""

import logging

from dagster import DagsterLogManager

from cyphera_pipelines.security.secrets import RedactingFilter

_REDACTING = RedactingFilter()


def redact_logs(run_log: DagsterLogManager) -> None:
    """Filter the run's own log and the handlers behind it.

    Handlers are filtered besides loggers since records of the loggers below them pass by a logger's filters.
    """
    run_log.addFilter(_REDACTING)
    for name in (None, "dagster", "cyphera_pipelines"):
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(_REDACTING)
