"""Which addresses a webhook may call, and what a call is signed with."""

import socket
from ipaddress import ip_address, ip_network

import pytest
from pydantic import ValidationError

from api.webhooks.address_policy import AddressPolicy, RefusedAddressError
from api.webhooks.settings import WebhookSettings
from api.webhooks.signature import sign
from api.webhooks.url_rules import UrlRules
from runs import WebhookRefusedError

STRICT = AddressPolicy((), is_signing=True)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"]
)
def test_public_addresses_may_be_called(address):
    assert STRICT.allows(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.88.99.1",
        "64:ff9b:1::1",
        "fec0::1",
        "3fff::1",
        "0.0.0.0",  # noqa: S104 - nothing listens on it
        "224.0.0.1",
        "224.0.1.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
    ],
)
def test_private_loopback_link_local_multicast_and_metadata_addresses_may_not(address):
    assert not STRICT.allows(ip_address(address))


def test_a_named_network_is_an_exception_and_its_neighbours_are_not():
    policy = AddressPolicy((ip_network("10.1.0.0/16"), ip_network("fd12::/32")), is_signing=True)
    assert policy.allows(ip_address("10.1.2.3"))
    assert policy.allows(ip_address("::ffff:10.1.2.3"))
    assert policy.allows(ip_address("fd12::1"))
    assert not policy.allows(ip_address("10.2.0.1"))
    assert not policy.allows(ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no-url",
        "//example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "http://",
        "http:///path",
        "http://user@93.184.215.14/",
        "http://user:secret@93.184.215.14/",
        "http://93.184.215.14:port/",
        "http://93.184.215.14:99999/",
        "http://[::1",
        "http://93.184.215.14/a b",
        "http://93.184.215.14/\r\nX: y",
        "http://ex\u00e4mple.org/",
        "http://93.184.215.14/" + "x" * 2048,
        "http://127.0.0.1/",
        "https://127.0.0.1:8443/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://localhost/",
        "http://LOCALHOST/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://[fe80::1%25eth0]/",
    ],
)
async def test_what_is_no_public_http_url_is_refused(url):
    with pytest.raises(WebhookRefusedError) as caught:
        await STRICT.check(url)
    assert "secret" not in str(caught.value)


async def test_a_public_url_passes_and_a_name_that_nobody_knows_is_judged_later():
    await STRICT.check("https://93.184.215.14/hook?token=a")
    await STRICT.check("http://[2606:4700::1111]:8080/hook")
    await STRICT.check("https://nobody-has-this-name.invalid/hook")


@pytest.mark.parametrize(
    ("rules", "url", "reason"),
    [
        (UrlRules(requires_https=True), "http://93.184.215.14/", "https://"),
        (UrlRules(ports=(443,)), "https://93.184.215.14:8443/", "port"),
        (UrlRules(ports=(443,)), "http://93.184.215.14/", "port"),
        (UrlRules(max_length=20), "https://93.184.215.14/", "longer than 20"),
        (UrlRules(domains=("93.184.215.15",)), "https://93.184.215.14/", "host"),
        (UrlRules(domains=("*.215.14",)), "https://215.14/", "host"),
        (UrlRules(domains=("*.184.215.14",)), "https://x93184.215.14/", "host"),
    ],
)
async def test_a_url_that_breaks_a_rule_is_refused_with_the_reason(rules, url, reason):
    with pytest.raises(WebhookRefusedError, match=reason):
        await AddressPolicy((), is_signing=True, rules=rules).check(url)


def test_a_url_within_the_rules_leads_to_its_host_and_port():
    rules = UrlRules(
        requires_https=True,
        domains=("hooks.example.org", "*.Example.com"),
        ports=(443, 8443),
        max_length=60,
    )
    assert rules.check("https://HOOKS.example.org/a") == ("hooks.example.org", 443)
    assert rules.check("https://a.b.example.com:8443/") == ("a.b.example.com", 8443)


async def test_without_a_secret_every_url_is_refused():
    with pytest.raises(WebhookRefusedError, match="JETRUN_WEBHOOKS__SECRET"):
        await AddressPolicy((), is_signing=False).check("https://93.184.215.14/hook")


async def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    async def resolve(*_):
        return [ip_address("93.184.215.14"), ip_address("10.0.0.1")]

    policy = AddressPolicy((), is_signing=True)
    monkeypatch.setattr(policy, "_resolve", resolve)
    with pytest.raises(WebhookRefusedError):
        await policy.check("https://example.org/")


def test_no_socket_is_made_for_an_address_that_must_not_be_called():
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
    with pytest.raises(RefusedAddressError):
        STRICT.open_socket(info)
    allowed = AddressPolicy((ip_network("127.0.0.0/8"),), is_signing=True)
    allowed.open_socket(info).close()


def test_a_signature_covers_the_timestamp_and_every_byte_of_the_body():
    known = sign("a secret of the test", 1700000000, b'{"a":1}')
    digest = "79d6f5024f3b9867ff18db9db735bfc20196f097771dc4045949f3f74b622a4d"
    assert known == f"v1={digest}"  # as openssl dgst -sha256 -hmac says
    others = [
        sign("another secret of it", 1700000000, b'{"a":1}'),
        sign("a secret of the test", 1700000001, b'{"a":1}'),
        sign("a secret of the test", 1700000000, b'{"a":2}'),
        sign("a secret of the test", 170000000, b'0.{"a":1}'),
    ]
    assert known not in others


@pytest.mark.parametrize(
    "wrong",
    [{"secret": "short"}, {"timeout_s": 30, "lease_s": 30}, {"allowed_networks": ["10.1.2.3/8"]}],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        WebhookSettings(**wrong)
