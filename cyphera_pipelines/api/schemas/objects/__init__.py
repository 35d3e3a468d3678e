"""Objects at providers in the field's own terms: what is asked for, and what is answered, a file per kind."""
