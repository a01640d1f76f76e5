"""Pure tensor functions: masks, skewing, the recurrence."""
