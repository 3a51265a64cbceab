"""Imports get carried out, here or in another process: the queue's loop, and this process's signs of life."""
