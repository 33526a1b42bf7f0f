"""What loggers and run-times write in front of a message: read here, before messages are compared."""
