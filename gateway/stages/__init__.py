"""What looks at the bytes while they go by. Pure and synchronous: blocks in, blocks and a verdict out."""
