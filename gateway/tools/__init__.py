"""What a stage or a service asks for through a port: keys, scanners, converters."""
