"""Where the sandbox listens unless told otherwise."""

DEFAULT_PORT = 12119
