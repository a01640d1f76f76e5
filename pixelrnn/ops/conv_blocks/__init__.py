"""A stack of PixelCNN's residual blocks: the reference, and one C++ call."""
