"""Layers one position at a time: one step class for each layer (see README.md)."""
