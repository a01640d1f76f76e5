"""The machine below Python: its C++ compiler and its memory allocator."""
