"""The command line: one verb per file. The only floor that composes and instantiates."""
