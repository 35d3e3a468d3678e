"""The one error of the embedded Postgres."""

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError


class EmbeddedPostgresError(CypheraError):
    """The embedded Postgres cannot start, stop or be read; the message says why and what to do."""

    code = ErrorCode.EMBEDDED_DATABASE_FAILED
