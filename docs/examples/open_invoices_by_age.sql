-- What is open, by how long it has been due; by when it was finalized where nothing says when it is due.
SELECT currency,
       CASE WHEN days < 0 THEN 'not yet due' WHEN days < 30 THEN '0 to 30 days' WHEN days < 60 THEN '30 to 60 days'
            WHEN days < 90 THEN '60 to 90 days' ELSE '90 days and more' END AS age,
       count(*) AS invoices, sum(amount_remaining) AS remaining
FROM (
    SELECT currency, amount_remaining,
           extract(epoch FROM now() - coalesce(due_date, finalized_at, created)) / 86400 AS days
    FROM analytics.invoices
    WHERE status = 'open'
) AS due
GROUP BY currency, age
ORDER BY currency, min(days)
