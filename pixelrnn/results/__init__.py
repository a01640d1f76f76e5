"""Tables and plots from run records. No torch."""
