"""The data dictionary: what the tables that people query are, from the comments that the model holds."""
