"""Training and evaluation of any model by Lightning."""
