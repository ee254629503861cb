"""Webhooks over HTTP: which addresses may be called, the signature, the call."""
