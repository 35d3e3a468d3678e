-- A native question of Metabase: make `workspace` a text filter; without it all that the login reads are shown.
SELECT w.slug AS workspace, s.status, count(*) AS subscriptions
FROM analytics.subscriptions AS s
JOIN analytics.workspaces AS w USING (workspace_id)
WHERE true [[AND w.slug = {{workspace}}]]
GROUP BY w.slug, s.status
ORDER BY w.slug, s.status
