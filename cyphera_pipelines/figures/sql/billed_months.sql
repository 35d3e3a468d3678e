-- What the invoices of each month come to.
CREATE TEMPORARY TABLE built_billed_months ON COMMIT DROP AS
SELECT
    currency, month, CAST(sum(known_invoices) AS bigint) AS known_invoices, CAST(sum(finalized) AS bigint) AS finalized,
    CAST(sum(invoices) AS bigint) AS invoices, sum(billed) AS billed, sum(taxes) AS taxes, sum(total) AS total,
    sum(discounts) AS discounts, sum(credited) AS credited, sum(paid) AS paid, sum(outstanding) AS outstanding,
    sum(uncollectible) AS uncollectible, sum(voided) AS voided
FROM built_billed_invoices
GROUP BY 1, 2
