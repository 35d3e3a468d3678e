"""The engine: brings one source's tables up to date. It knows nothing of Dagster and nothing of HTTP."""
