"""What clients ask a site to do: read from forms, done to its objects, told by its events, once under each key."""
