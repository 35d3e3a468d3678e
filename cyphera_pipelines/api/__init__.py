"""The HTTP API: the only place that imports FastAPI. It starts no sync itself: it writes sessions and tells Dagster."""
