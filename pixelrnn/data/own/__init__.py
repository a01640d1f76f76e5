"""Images of the user's own: found, looked at, converted and dealt to splits."""
