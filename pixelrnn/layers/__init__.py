"""One spatial operation each. Feature maps are (H, W, B, F): `x[r]` is a row, `x[r, c]` a pixel."""
