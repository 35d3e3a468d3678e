-- New customers of each month (UTC), in each workspace.
SELECT w.slug, date_trunc('month', c.created AT TIME ZONE 'UTC')::date AS month, count(*) AS customers
FROM analytics.customers AS c
JOIN analytics.workspaces AS w USING (workspace_id)
GROUP BY w.slug, month
ORDER BY w.slug, month
