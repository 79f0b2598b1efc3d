import pytest

from lambda_worker.settings import Settings, SettingsError, read_settings

COMPLETE = {
    "AWS_REGION": "eu-central-1",
    "REMOTION_FUNCTION_NAME": "remotion-render-4-0-527-mem2048mb-disk2048mb-900sec",
    "REMOTION_BUCKET": "remotionlambda-renderhub",
    "REMOTION_SQS_DLQ_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/remotion-render-queue-dlq",
    "WEBHOOK_SECRETS": " new-secret, old-secret ",
}


def test_a_complete_environment_is_read_and_the_first_secret_signs():
    assert read_settings(COMPLETE) == Settings(
        region="eu-central-1",
        function_name="remotion-render-4-0-527-mem2048mb-disk2048mb-900sec",
        bucket="remotionlambda-renderhub",
        dead_letter_queue_url=COMPLETE["REMOTION_SQS_DLQ_URL"],
        webhook_secret="new-secret",
    )


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_missing_or_blank_is_named_with_the_mend(name, value):
    environment = {**COMPLETE, name: value} if value is not None else {**COMPLETE}
    if value is None:
        del environment[name]
    with pytest.raises(SettingsError, match=rf"^{name} is not set: it is the .+\.$"):
        read_settings(environment)


def test_secrets_that_are_only_commas_are_none():
    with pytest.raises(SettingsError, match="WEBHOOK_SECRETS"):
        read_settings({**COMPLETE, "WEBHOOK_SECRETS": " , "})


def test_all_that_is_missing_is_named_at_once():
    with pytest.raises(SettingsError) as raised:
        read_settings({})
    assert all(name in str(raised.value) for name in COMPLETE)


def test_the_secret_is_not_shown():
    assert "new-secret" not in repr(read_settings(COMPLETE))
