"""What image formats look like, and what makes one unsafe: one module a format, each over the first MiB and the end."""
