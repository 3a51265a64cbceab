"""What the gateway does, in the order it does it: decide, take bytes in, import, serve, clean up."""
