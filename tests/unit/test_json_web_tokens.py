"""A token is believed only when everything about it is right."""

import asyncio
import base64
import json
import time

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr, ValidationError

from api.auth.caller import Role, Scope
from api.auth.errors import CredentialRefusedError, SigningKeysUnavailableError
from api.auth.json_web_tokens import TokenVerifier
from api.auth.jwt_settings import JwtSettings
from api.auth.settings import AuthSettings

SECRET = "a secret of more than thirty-two characters"
ISSUER = "https://issuer.example/"
RSA, OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
EC = ec.generate_private_key(ec.SECP256R1())
SHARED = JwtSettings(secret=SecretStr(SECRET), audience="jetrun", issuer=ISSUER)


def claims(**changes):
    now = int(time.time())
    given = {"sub": "her", "aud": "jetrun", "iss": ISSUER, "iat": now, "exp": now + 60}
    return {name: value for name, value in (given | changes).items() if value is not None}


def hs256(key=SECRET, algorithm="HS256", headers=None, **changes):
    return jwt.encode(claims(**changes), key, algorithm, headers)


def forged(header, payload=None, signature=b""):
    parts = (json.dumps(header).encode(), json.dumps(payload or claims()).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def jwk(key, kid, **changes):
    algorithm = jwt.get_algorithm_by_name("ES256" if key is EC else "RS256")
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **changes}


class Provider:
    """Publishes keys, and counts how often it is asked."""

    def __init__(self):
        self.keys = [jwk(RSA, "first"), jwk(EC, "curve")]
        self.asked = 0
        self.status = 200

    async def answer(self, _):
        self.asked += 1
        if self.status != 200:
            return web.Response(status=self.status, headers={"Location": "/keys"})
        return web.json_response({"keys": self.keys})


@pytest.fixture
async def provider():
    published = Provider()
    app = web.Application()
    app.router.add_get("/keys", published.answer)
    async with TestServer(app) as server:
        published.url = str(server.make_url("/keys"))
        yield published


@pytest.fixture
def verifier(provider):
    """Make verifiers of the provider's tokens: ``verifier(jwks_cache_s=1)``."""

    def make(**changes):
        facts = {"jwks_url": provider.url, "audience": "jetrun", "issuer": ISSUER} | changes
        return TokenVerifier(JwtSettings(**facts))

    return make


def signed(key=RSA, kid="first", algorithm="RS256", **changes):
    return jwt.encode(claims(**changes), key, algorithm, {"kid": kid} if kid else None)


async def test_a_good_token_tells_who_calls():
    caller = await TokenVerifier(SHARED).caller_of(hs256())
    assert (caller.user_id, caller.sees, caller.role) == ("her", "her", Role.USER)
    assert caller.scopes == {Scope.READ, Scope.RUN, Scope.OPERATE}


@pytest.mark.parametrize("role", ["operator", ["x", "operator"], "x operator"])
async def test_an_operator_sees_all(role):
    caller = await TokenVerifier(SHARED).caller_of(hs256(role=role))
    assert (caller.sees, caller.user_id) == (None, "her")


@pytest.mark.parametrize("role", ["operators", ["x"], 1, {"operator": 1}, [["operator"]], None])
async def test_everybody_else_is_a_user(role):
    assert (await TokenVerifier(SHARED).caller_of(hs256(role=role))).sees == "her"


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        ("read openid", {"read"}),
        (["run", "read"], {"run", "read"}),
        ([], set()),
        (None, {"publish"}),
    ],
)
async def test_scopes_are_those_of_the_claim_where_one_is_named(given, scopes):
    changes = {"scope_claim": "scp", "default_scopes": ("publish",)}
    settings = JwtSettings.model_validate({**SHARED.model_dump(), **changes})
    assert (await TokenVerifier(settings).caller_of(hs256(scp=given))).scopes == scopes


NOW = int(time.time())
REFUSED = {
    "expired": hs256(exp=NOW - 60),
    "not yet valid": hs256(nbf=NOW + 3600),
    "for another audience": hs256(aud="other"),
    "for no audience": hs256(aud=None),
    "of another issuer": hs256(iss="https://other/"),
    "of no issuer": hs256(iss=None),
    "without an end": hs256(exp=None),
    "of nobody": hs256(sub=None),
    "of an empty user": hs256(sub=""),
    "of a user that would break the log": hs256(sub="her\nevent=forged"),
    "signed with another secret": hs256(key=SECRET + "!"),
    "of an algorithm that is not allowed": hs256(algorithm="HS512", key=SECRET * 2),
    "unsigned": forged({"alg": "none"}),
    "unsigned in capitals": forged({"alg": "None"}),
    "of no algorithm": forged({}),
    "of an algorithm that is a list": forged({"alg": ["HS256"]}),
    "changed after it was signed": ".".join(
        [hs256().split(".")[0], hs256(sub="him").split(".")[1], hs256().split(".")[2]]
    ),
    "without a signature": hs256().rsplit(".", 1)[0] + ".",
    "in two parts": hs256().rsplit(".", 1)[0],
    "not base64": "ä.ö.ü",
    "a deep document": base64.urlsafe_b64encode(b"[" * 60_000).decode() + ".e30.AAAA",
    "a header that is a list": forged([1]),
    "empty": "",
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED.keys())
async def test_a_token_is_refused_that_is(token):
    with pytest.raises(CredentialRefusedError):
        await TokenVerifier(SHARED).caller_of(token)


async def test_clocks_may_differ_a_little():
    assert await TokenVerifier(SHARED).caller_of(hs256(exp=int(time.time()) - 5))


async def test_keys_of_a_provider_verify_both_kinds(verifier):
    tokens = verifier()
    for token in (signed(), signed(EC, "curve", "ES256"), signed(kid=None)):
        assert (await tokens.caller_of(token)).user_id == "her"


@pytest.mark.parametrize(
    "token",
    [
        signed(OTHER_RSA),
        signed(kid="curve"),
        signed(kid="unknown"),
        forged({"alg": "RS256", "kid": ["first"]}),
        forged({"alg": "RS256", "kid": "first", "jwk": jwk(OTHER_RSA, "first")}),
    ],
    ids=["another key", "a key of another kind", "an unknown key", "an odd id", "its own key"],
)
async def test_a_token_is_refused_that_was_signed_with(verifier, token):
    with pytest.raises(CredentialRefusedError):
        await verifier().caller_of(token)


async def test_a_public_key_is_never_taken_for_a_secret(verifier):
    public = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"alg": "HS256", "kid": "first"}
    unsigned = forged(header).rsplit(".", 1)[0]
    signature = jwt.get_algorithm_by_name("HS256")
    made = signature.sign(unsigned.encode(), public)
    token = f"{unsigned}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"
    for tokens in (verifier(), verifier(secret=SecretStr(SECRET))):
        with pytest.raises(CredentialRefusedError):
            await tokens.caller_of(token)


async def test_a_published_secret_verifies_nothing(provider, verifier):
    k = base64.urlsafe_b64encode(SECRET.encode()).decode()
    provider.keys = [{"kty": "oct", "k": k, "kid": "first", "alg": "HS256"}, jwk(EC, "curve")]
    with pytest.raises(CredentialRefusedError):
        await verifier().caller_of(hs256(headers={"kid": "first"}))


async def test_keys_are_fetched_once_for_many_tokens(provider, verifier):
    tokens = verifier()
    await asyncio.gather(*(tokens.caller_of(signed()) for _ in range(20)))
    assert provider.asked == 1


async def test_a_new_key_is_known_as_soon_as_it_is_used(provider, verifier):
    tokens = verifier(jwks_min_interval_s=0.01)
    await tokens.caller_of(signed())
    provider.keys = [jwk(OTHER_RSA, "second")]
    await asyncio.sleep(0.02)  # the interval itself, not a wait for something
    assert await tokens.caller_of(signed(OTHER_RSA, "second"))
    with pytest.raises(CredentialRefusedError):
        await tokens.caller_of(signed())


async def test_invented_key_ids_do_not_reach_the_provider(provider, verifier):
    tokens = verifier()
    for number in range(50):
        with pytest.raises(CredentialRefusedError):
            await tokens.caller_of(signed(kid=f"invented-{number}"))
    assert provider.asked == 1


@pytest.mark.parametrize("status", [500, 302])
async def test_without_any_keys_it_is_not_the_token_that_is_wrong(provider, verifier, status):
    provider.status = status
    with pytest.raises(SigningKeysUnavailableError):
        await verifier().caller_of(signed())


async def test_known_keys_are_used_while_the_provider_is_away(provider, verifier, eventually):
    tokens = verifier(jwks_cache_s=0.01, jwks_min_interval_s=0.01)
    await tokens.caller_of(signed())
    provider.status = 500
    asked = provider.asked

    async def asks_again():
        await tokens.caller_of(signed())
        return provider.asked > asked

    await eventually(asks_again)


async def test_keys_are_not_used_for_ever_while_the_provider_is_away(
    provider, verifier, eventually
):
    tokens = verifier(jwks_cache_s=0.01, jwks_min_interval_s=0.01, jwks_stale_s=0.5)
    await tokens.caller_of(signed())
    provider.status = 500

    async def gives_up():
        try:
            await tokens.caller_of(signed())
        except SigningKeysUnavailableError:
            return True
        return False

    await eventually(gives_up)


async def test_an_answer_that_is_too_large_is_not_read(provider, verifier):
    provider.keys = [jwk(RSA, "first", padding="x" * 2000)]
    with pytest.raises(SigningKeysUnavailableError):
        await verifier(max_jwks_bytes=1024).caller_of(signed())


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "short"},
        {"algorithms": ("none",)},
        {"algorithms": ()},
        {"jwks_url": "http://keys.example/", "issuer": "x"},
        {"jwks_url": "file:///etc/passwd", "issuer": "x"},
        {"jwks_url": "https://keys.example/"},
    ],
)
def test_settings_that_would_be_unsafe_are_refused(wrong):
    with pytest.raises(ValidationError):
        JwtSettings(**wrong)


@pytest.mark.parametrize("jwt_settings", [{}, {"audience": "x"}, {"secret": SECRET}])
def test_tokens_cannot_be_accepted_that_cannot_be_verified(jwt_settings):
    with pytest.raises(ValidationError):
        AuthSettings(methods=("jwt",), jwt=JwtSettings(**jwt_settings))


async def test_an_algorithm_that_is_not_allowed_is_refused_though_its_key_is_known(verifier):
    tokens = verifier(algorithms=("ES256",))
    assert await tokens.caller_of(signed(EC, "curve", "ES256"))
    with pytest.raises(CredentialRefusedError):
        await tokens.caller_of(signed())
