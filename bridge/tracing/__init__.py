"""One event's way as a trace, where that is wanted: publisher, log, gateway, durable consumers."""
