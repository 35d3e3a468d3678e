-- What is owed now, by how long it has been due, in each currency.
SELECT w.slug, a.currency, a.bucket, a.invoices, a.remaining, a.uncollectible
FROM analytics.invoice_aging AS a
JOIN analytics.workspaces AS w USING (workspace_id)
ORDER BY w.slug, a.currency, a.bucket_number
