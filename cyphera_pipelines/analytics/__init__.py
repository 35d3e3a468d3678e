"""Workspaces' tables for pandas and as files: `from cyphera_pipelines.analytics import Workspace`.

pandas and pyarrow come with `pip install 'cyphera-pipelines[analytics]'`.
"""

from cyphera_pipelines.analytics.workspace import Workspace

__all__ = ["Workspace"]
