"""Operator, account and user of NATS' decentralized authentication, as `nsc` makes them."""

import base64
import json
import os
import time

import nkeys

UNLIMITED = -1


def new_key(prefix):
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def public(key):
    return key.public_key.decode()


def seed_of(key):
    return key.seed.decode()


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def token(issuer, subject, kind, **claims):
    """Sign a JWT with the issuer's key about the subject's."""
    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {
        "jti": encoded(os.urandom(16)),
        "iat": int(time.time()),
        "iss": public(issuer),
        "name": kind,
        "sub": public(subject),
        "nats": {"type": kind, "version": 2, **claims},
    }
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, body))
    return f"{signed}.{encoded(issuer.sign(signed.encode()))}"


class Issued:
    """What a server and one of its users are told.

    Attributes:
        server: Lines of its configuration.
        credentials: The content of the user's .creds file.
    """

    def __init__(self):
        operator = new_key(nkeys.PREFIX_BYTE_OPERATOR)
        account, system = (new_key(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(2))
        user = new_key(nkeys.PREFIX_BYTE_USER)
        names = ("subs", "conn", "leaf", "imports", "exports", "data", "payload")
        limits = {**dict.fromkeys(names, UNLIMITED), "wildcards": True}
        jetstream = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), UNLIMITED)
        accounts = {
            public(account): token(operator, account, "account", limits={**limits, **jetstream}),
            public(system): token(operator, system, "account", limits=limits),
        }
        preload = "".join(f"  {name}: {jwt}\n" for name, jwt in accounts.items())
        of_user = token(
            account, user, "user", **dict.fromkeys(("subs", "data", "payload"), UNLIMITED)
        )
        self.server = (
            f"operator: {token(operator, operator, 'operator')}\n"
            "resolver: MEMORY\n"
            f"system_account: {public(system)}\n"
            f"resolver_preload: {{\n{preload}}}\n"
        )
        self.credentials = (
            f"-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed_of(user)}\n------END USER NKEY SEED------\n"
        )
