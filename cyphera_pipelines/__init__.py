"""Cyphera Pipelines: every workspace's payment data as Postgres tables, kept up to date through Dagster."""

__version__ = "0.1.0"
