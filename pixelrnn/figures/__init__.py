"""Pictures of what a model has learnt: one file a kind, each with its numbers and its drawing."""
