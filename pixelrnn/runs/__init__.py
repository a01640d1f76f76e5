"""What a run is: its checked configuration, its signature, its record. No torch."""
