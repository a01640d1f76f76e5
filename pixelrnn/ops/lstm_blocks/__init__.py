"""A stack of recurrent residual blocks: the reference, and one C++ call."""
