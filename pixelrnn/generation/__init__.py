"""Generation: one walk over (row, column, colour) that asks a source for every symbol."""
