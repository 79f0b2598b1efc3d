"""Refresh tokens: good once, and of no use after signing out, even where two use one at the same moment."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from renderhub.models import RevokedToken


@pytest.fixture
def pair(client, user):
    answer = client.post(
        "/api/auth/token", {"username": "ada", "password": "pass-word-1"}, "application/json"
    )
    return answer.json()


def post(client, path, token):
    return client.post(path, {"refresh": token}, "application/json")


def test_signing_in_keeps_nothing(pair):
    assert not RevokedToken.objects.exists()


def test_a_refresh_token_is_good_once_and_its_successor_goes_on(client, pair):
    fresh = post(client, "/api/auth/token/refresh", pair["refresh"])
    assert fresh.status_code == 200
    again = post(client, "/api/auth/token/refresh", pair["refresh"])
    assert again.status_code == 401
    assert post(client, "/api/auth/token/refresh", fresh.json()["refresh"]).status_code == 200


def test_a_token_that_was_signed_out_is_of_no_use(client, pair):
    assert post(client, "/api/auth/token/blacklist", pair["refresh"]).status_code == 200
    assert post(client, "/api/auth/token/refresh", pair["refresh"]).status_code == 401
    assert post(client, "/api/auth/token/blacklist", pair["refresh"]).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_a_token_at_once_one_gets_new_ones(pair):
    def use(_):
        try:
            return post(Client(), "/api/auth/token/refresh", pair["refresh"]).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(use, range(8)))
    assert codes == [200] + [401] * 7
