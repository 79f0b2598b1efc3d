"""Signatures: what is accepted, and everything that is not."""

import hashlib
import hmac
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_worker import signing
from lambda_worker.signing import MAX_AGE_S, Scheme, SignatureError
from tests.lambda_worker import golden

BODY = golden.read("render_success")
SECRET = "the-shared-secret"
NOW = 1_764_000_000.0


def test_the_worker_signs_with_hmac_sha256_in_lower_case_hex():
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert signing.sign(BODY, secret=SECRET) == f"sha256={expected}"


@pytest.mark.parametrize("scheme", Scheme)
def test_what_was_signed_is_accepted_and_tells_who_signed(scheme):
    header = signing.sign(BODY, secret=SECRET, scheme=scheme)
    assert signing.verify(BODY, header, secrets=[SECRET]) is scheme


def test_a_signature_that_remotions_own_code_has_made_is_accepted():
    # Made by invokeWebhook() of @remotion/serverless 4.0.527, run on Node.
    body = (
        b'{"type":"timeout","renderId":"8hfxlw5kz1","expectedBucketOwner":"123456789012",'
        b'"bucketName":"remotionlambda-eucentral1-b2k4x7q9wz",'
        b'"customData":{"exportId":"01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f","attempt":1}}'
    )
    header = (
        "sha512=bb42508d73cf726344ef41eb7917b89a35ee58277339a9a8452ec68cf9c5c2db"
        "6cce1db32e0a0272aea4b73f9689f91e51595f71a9aecf4c60909f7ba182b433"
    )
    assert signing.verify(body, header, secrets=["a-shared-secret"]) is Scheme.REMOTION


def test_a_bare_digest_is_the_workers():
    bare = signing.sign(BODY, secret=SECRET).removeprefix("sha256=")
    assert signing.verify(BODY, bare, secrets=[SECRET]) is Scheme.WORKER


def test_upper_case_and_surrounding_blanks_are_accepted():
    digest = signing.sign(BODY, secret=SECRET).removeprefix("sha256=")
    assert signing.verify(BODY, f" sha256={digest.upper()} ", secrets=[SECRET]) is Scheme.WORKER


def test_an_altered_byte_is_refused_wherever_it_is():
    header = signing.sign(BODY, secret=SECRET)
    for place in range(len(BODY)):
        altered = bytearray(BODY)
        altered[place] ^= 1
        with pytest.raises(SignatureError, match="does not belong"):
            signing.verify(bytes(altered), header, secrets=[SECRET])


@pytest.mark.parametrize("scheme", Scheme)
def test_a_wrong_secret_is_refused(scheme):
    header = signing.sign(BODY, secret="another-secret", scheme=scheme)
    with pytest.raises(SignatureError, match="does not belong"):
        signing.verify(BODY, header, secrets=[SECRET])


@pytest.mark.parametrize("secret", ["old", "current", "next"])
def test_each_of_several_secrets_is_accepted(secret):
    header = signing.sign(BODY, secret=secret)
    assert signing.verify(BODY, header, secrets=["next", "current", "old"]) is Scheme.WORKER


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_is_accepted(secrets):
    header = signing.sign(BODY, secret="")
    with pytest.raises(SignatureError, match="does not belong"):
        signing.verify(BODY, header, secrets=secrets)


def test_one_schemes_digest_does_not_pass_for_the_others():
    digest = signing.sign(BODY, secret=SECRET, scheme=Scheme.WORKER).removeprefix("sha256=")
    with pytest.raises(SignatureError, match="does not belong"):
        signing.verify(BODY, f"sha512={digest}", secrets=[SECRET])


@pytest.mark.parametrize("length", [1, 8, 63, 65, 128])
def test_a_digest_of_the_wrong_length_is_refused(length):
    digest = signing.sign(BODY, secret=SECRET).removeprefix("sha256=")
    with pytest.raises(SignatureError, match="does not belong"):
        signing.verify(BODY, f"sha256={(digest * 2)[:length]}", secrets=[SECRET])


@pytest.mark.parametrize("header", [None, ""])
def test_a_missing_header_is_refused(header):
    with pytest.raises(SignatureError, match="is missing"):
        signing.verify(BODY, header, secrets=[SECRET])


@pytest.mark.parametrize(
    "header",
    [
        "NO_SECRET_PROVIDED",
        "sha1=" + "0" * 40,
        "SHA256=" + "0" * 64,
        "=" + "0" * 64,
        "sha256=",
        "sha256=sha256=" + "0" * 64,
        "sha256=" + "x" * 64,
        "sha256=" + "\N{ARABIC-INDIC DIGIT ZERO}" * 64,
        "\N{LATIN SMALL LETTER LONG S}ha256=" + "0" * 64,
        "sha256=" + "0" * 63 + "é",
        "sha256=" + "0" * 32 + "\n" + "0" * 32,
        "\x00",
    ],
)
def test_a_header_of_another_form_is_refused(header):
    with pytest.raises(SignatureError):
        signing.verify(BODY, header, secrets=[SECRET])


@given(st.text(), st.binary())
def test_no_header_raises_anything_but_a_signature_error(header, body):
    with pytest.raises(SignatureError):
        signing.verify(body, header, secrets=[SECRET])


@pytest.mark.parametrize("age_s", [0, 1, MAX_AGE_S, -MAX_AGE_S])
def test_a_timestamp_within_five_minutes_is_accepted(age_s):
    signing.check_age(NOW - age_s, now=NOW)


@pytest.mark.parametrize("age_s", [MAX_AGE_S + 1, -MAX_AGE_S - 1, math.inf, -math.inf, math.nan])
def test_a_stale_early_or_impossible_timestamp_is_refused(age_s):
    with pytest.raises(SignatureError, match="300 seconds"):
        signing.check_age(NOW - age_s, now=NOW)
