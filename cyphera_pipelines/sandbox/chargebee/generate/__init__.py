"""A business as Chargebee shows it: its people, items, prices, subscriptions, invoices and what goes with them."""
