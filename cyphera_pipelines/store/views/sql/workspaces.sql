-- Workspaces that the reader may read.
-- Grain: one row per workspace.
-- Key: workspace_id.
-- Rules: none.
-- Columns:
-- workspace_id
-- slug text: Its short name, as commands call it
-- name text: Its name for people
SELECT id AS workspace_id, slug, name
FROM sync.workspaces
