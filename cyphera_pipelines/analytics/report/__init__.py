"""A workspace's figures as one HTML page that needs no network: contents, charts, and the page itself."""
