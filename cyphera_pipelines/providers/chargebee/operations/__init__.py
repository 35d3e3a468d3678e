"""What the product's backend does at Chargebee: a file per group, and in `account` how a write is carried out."""
