"""The kinds of `pixelrnn figure`: one file each, with a function of the file's name.

Its first argument holds the keys that it shares with other kinds (`figure_keys`), the others are
its own keys. It returns a matplotlib `Figure`, which the verb writes.
"""
