"""A filled table as text: cells, Markdown, LaTeX, CSV."""
