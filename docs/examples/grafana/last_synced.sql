-- A table of Grafana: when a row of each workspace's was last written.
SELECT w.slug AS workspace, max(i.synced_at) AS last_invoice_written
FROM analytics.invoices AS i
JOIN analytics.workspaces AS w USING (workspace_id)
GROUP BY w.slug
ORDER BY last_invoice_written
