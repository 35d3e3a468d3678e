"""The metadata object that all tables hang on, and the names of the schemas."""

from sqlalchemy import MetaData

CONTROL_SCHEMA = "sync"
PAYMENTS_SCHEMA = "payments"
FIGURES_SCHEMA = "figures"

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)
