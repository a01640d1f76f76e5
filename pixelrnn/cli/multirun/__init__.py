"""Many runs from one command: which jobs there are, and what became of each."""
