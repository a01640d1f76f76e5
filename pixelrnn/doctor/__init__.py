"""What this machine has, and the proof that the kernels compute right on it."""
