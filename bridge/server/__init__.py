"""The NATS server of this machine: found, started, guarded, stopped."""
