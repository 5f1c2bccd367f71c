"""Every promised form of a secret is removed wherever it stands, and nothing else is."""

from __future__ import annotations

import hashlib
import random
import uuid
from pathlib import Path

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.store.secrets import RULES, is_secret_name, without_secrets

pytestmark = pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
A36, HEX32, HEX64 = "abcdefGHIJKLmnopqr0123456789STUVwxyz", "0123456789abcdef" * 2, "0123456789abcdef" * 4
B64 = "dGhpc2lzYXNlY3JldGtleTEyMzQ1Njc4OTA"

FORMS: dict[str, tuple[str, str]] = {
    # text, and the secret in it; made up, in the published form of each vendor
    "openai": (f"key sk-{A36}", A36),
    "openai project": (f"sk-proj-{A36}_-x", A36),
    "openai service": (f"sk-svcacct-{A36}", A36),
    "anthropic": (f"sk-ant-api03-{A36}", A36),
    "openrouter": (f"sk-or-v1-{HEX64}", HEX64),
    "hugging face": (f"hf_{A36[:34]}", A36[:34]),
    "github": (f"ghp_{A36}", A36),
    "github fine-grained": (f"github_pat_11ABCDEFG0{A36}", A36),
    "gitlab": ("glpat-abcdefghij1234567890", "abcdefghij1234567890"),
    "aws id": ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    "aws secret": ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    "aws export": ("export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
    "azure account": (f"DefaultEndpointsProtocol=https;AccountName=me;AccountKey={B64}==;EndpointSuffix=x", B64),
    "azure sas": (f"https://me.blob.core.windows.net/c?sv=2022-11-02&sig={B64}%3D&se=2030", B64),
    "google": (f"AIza{A36[:35]}", A36[:35]),
    "google oauth": (f"ya29.{A36}", A36),
    "google client": (f"GOCSPX-{A36[:28]}", A36[:28]),
    "slack bot": ("xoxb-123456789012-zyxwvutsrq", "zyxwvutsrq"),
    "slack app": ("xapp-1-A012-123456-abcdef0123456789", "abcdef0123456789"),
    "slack webhook": ("https://hooks.slack.com/services/T0/B0/XXabcdef123", "XXabcdef123"),
    "discord webhook": ("https://discord.com/api/webhooks/123/XXabcdef123", "XXabcdef123"),
    "stripe": ("sk_live_" + A36[:24], A36[:24]),
    "sendgrid": (f"SG.{A36[:22]}.{A36}abcdefg", A36),
    "groq": (f"gsk_{A36}", A36),
    "xai": (f"xai-{A36}", A36),
    "nvidia": (f"nvapi-{A36}", A36),
    "replicate": (f"r8_{A36}", A36),
    "databricks": (f"dapi{HEX32}", HEX32),
    "npm": (f"npm_{A36}", A36),
    "pypi": (f"pypi-AgEIcHlwaS5vcmc{A36}", A36),
    "langsmith": (f"lsv2_pt_{HEX32}_0123456789", HEX32),
    "perplexity": (f"pplx-{A36}", A36),
    "pinecone": (f"pcsk_{A36}", A36),
    "digitalocean": (f"dop_v1_{HEX64}", HEX64),
    "telegram": (f"bot 123456789:AA{A36[:33]}", A36[:33]),
    "discord bot": ("MTIzNDU2Nzg5MDEyMzQ1Njc4.GaBcDe.zyxwvutsrqponmlkjihgfedcba012345", "zyxwvutsrqponmlk"),
    "shopify": (f"shpat_{HEX32}", HEX32),
    "vault": (f"hvs.{A36}", A36),
    "tailscale": (f"tskey-auth-{A36}", A36),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc", "eyJzdWIi"),
    "rsa": ("-----BEGIN RSA PRIVATE KEY-----\nMIIEowAB\n-----END RSA PRIVATE KEY-----", "MIIEowAB"),
    "openssh": ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n-----END OPENSSH PRIVATE KEY-----", "b3BlbnNz"),
    "pgp": ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----", "lQOYBF"),
    "service account": ('{"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIEvQ\\n-----END PRIVATE KEY-----\\n"}', "MIIEvQ"),
    "env": ("DB_PASSWORD=Hunter2Env\nDEBUG=1", "Hunter2Env"),
    "env quoted": ("SECRET_KEY='django-insecure-abc'", "django-insecure-abc"),
    "json": ('{"user": "bob", "password": "JsonPw5566"}', "JsonPw5566"),
    "json in json": ('{\\"user\\": \\"bob\\", \\"password\\": \\"JsonPw5566\\"}', "JsonPw5566"),
    "repr": ("{'user': 'bob', 'password': 'ReprPw5566'}", "ReprPw5566"),
    "camel case": ('{"clientSecret": "CamelPw5566", "openaiApiKey": "x"}', "CamelPw5566"),
    "dsn": ("host=db user=me password=Dsn5566 dbname=x", "Dsn5566"),
    "odbc": ("Driver={x};Server=y;Uid=me;Pwd=Odbc5566;", "Odbc5566"),
    "address": ("postgresql://me:Hunter2@db.example/x", "Hunter2"),
    "redis": ("redis://:Hunter2@cache:6379/0", "Hunter2"),
    "address with a slash": ("postgresql://me:Hunt/er2@db.example/x", "er2"),
    "address with an at": ("postgresql://me:Hunt@er2@db.example/x", "er2"),
    "bearer": ("Authorization: Bearer abcdef123456", "abcdef123456"),
    "bearer alone": ("bearer: abcdef123456xyz", "abcdef123456xyz"),
    "basic": ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "header in a dict": ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
    "cookie": ("Cookie: session=abc123def; theme=dark", "abc123def"),
    "x-api-key": ("x-api-key: Abcdef123456", "Abcdef123456"),
    "query": ("GET https://api.example/v1?api_key=Abcdef123456&n=3", "Abcdef123456"),
    "token query": ("https://api.example/v1?access_token=Abcdef123456", "Abcdef123456"),
}  # fmt: skip

NAMES = [
    "api_key", "openai_api_key", "password", "Authorization", "token", "db_dsn", "pin_secret",
    "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "secret_key", "SECRET_KEY", "access_key", "x-api-key", "X-API-Key",
    "PGPASSWORD", "DB_PASS", "pwd", "pass", "passphrase", "openaiApiKey", "dbPassword", "clientSecret", "authToken",
    "account_key", "AccountKey", "secrets", "tokens", "cookies", "passwords", "api_keys", "bearer", "jwt", "sas", "ssh_key",
    "signing_key", "encryption_key", "sessionid", "csrf", "DATABASE_URL", "connection_string", "webhook", "otp", "pin", "ssn",
    "password1", "password_hash", "api_key_2", "http.request.header.authorization", "access_tokens", "refreshToken", "apikey",
]  # fmt: skip

PLAIN = [
    "mask-rcnn-resnet50-fpn", "task-2024-01-02-run-17", "risk-adjusted-return-model-v2", "disk-usage-percentage-high",
    "flask-sqlalchemy-extension", "ask-questions-about-documents", "desk-reject-prediction-task",
    "sk-learn-classification-pipeline", "Bearer authentication failed", "docker://img:tag@sha256:" + HEX64,
    "registry.example:5000/team/img@sha256:" + HEX64, "s3://bucket/key/of/object", "http://localhost:8080/user@example.com",
    "max_tokens=512 stop_token='</s>'", "time_to_first_token: 0.31", "invalid password: expected at least 8 characters",
    "{'next_token': 'the', 'eos_token': '<|endoftext|>'}", "primary_key=user_id", "token: 17", "api_key=None",
    "git@github.com:org/repo.git", "monkey=banana; author=Ann", "the key: value pairs", "pass: 3, fail: 2",
    "https://user@host/path", "KeyError: 'tokens'", "password=***", "tokens per second: 35.2",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_caught_in_any_text(form: str) -> None:
    text, secret = FORMS[form]
    for given in (text, f"it failed: {text}", f"({text})", f"before\n{text}\nafter"):
        assert secret not in without_secrets(given), given
        assert "[redacted]" in without_secrets(given)


def test_forms_are_caught_wherever_they_stand(tmp_path: Path) -> None:
    said = [text for text, _ in FORMS.values()]
    exp = cr.start("secrets", store=tmp_path, tags=said, hypothesis=said[3], metadata={"a": {"b": said}})
    for text in said:
        exp.record("x", error=text, note=text, metadata={"a": {"b": [text]}})
        exp.record("x", {"nested": {"deep": (text,)}})
    exp.extend([{"note": text, "error": text} for text in said])
    exp.extend(pd.DataFrame({"note": said, "metadata": [{"x": text} for text in said]}))
    exp.record("x", dict.fromkeys(NAMES, "Hunter2Name"))
    exp.record("x", {"nested": dict.fromkeys(NAMES, "Hunter2Name")})
    for sealed in (False, True):
        if sealed:
            exp.stop()
        exp.flush()
        written = "".join(
            path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()
        )
        memory = exp.frame().to_csv() + repr((exp.tags, exp.hypothesis, exp.metadata))
        for _, secret in [*FORMS.values(), ("", "Hunter2Name")]:
            assert secret not in written, secret
            assert secret not in memory, secret


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_tells(name: str) -> None:
    assert cr.Redaction()(name, "Hunter2Name") == "[redacted]"


@pytest.mark.parametrize("text", PLAIN)
def test_plain_texts_stay(text: str) -> None:
    assert cr.Redaction()("note", text) == text


def test_no_id_model_path_or_hash_is_taken_for_a_secret() -> None:
    draw = random.Random(0)
    words = [
        "mask",
        "task",
        "risk",
        "disk",
        "sk",
        "ask",
        "token",
        "key",
        "pass",
        "auth",
        "secret",
        "model",
        "run",
        "fold",
        "base",
        "large",
        "chat",
        "v2",
        "2024",
        "rcnn",
        "bert",
        "gpt",
        "4o",
        "mini",
    ]
    texts = []
    for n in range(2000):
        digest = hashlib.sha256(str(n).encode()).hexdigest()
        parts = [draw.choice(words) for _ in range(draw.randint(2, 7))]
        texts += [
            str(uuid.UUID(int=draw.getrandbits(128))),
            digest,
            digest[:40],
            digest[:12],
            "-".join(parts),
            "_".join(parts),
            "/".join(["/data", *parts, "part-0001.parquet"]),
            f"s3://{parts[0]}-bucket/{'/'.join(parts)}.json",
            f"org/{'-'.join(parts)}:{parts[-1]}",
            f"{parts[0]}.{parts[-1]}@{digest[:8]}",
            f"run {n}: loss=0.{n} lr=1e-3",
        ]
    assert len(texts) >= 10_000
    assert [text for text in texts if without_secrets(text) != text] == []
    names = ["author", "authors", "secretary", "monkey", "primary_key", "cache_key", "tokens_per_second", "num_tokens",
             "next_token", "stop_token", "first_pass", "compass", "bypass", "keyboard", "token_type", "session_id", "spin"]  # fmt: skip
    assert [name for name in names if is_secret_name(name)] == []


def test_a_long_text_takes_no_time() -> None:
    for text in (  # a rule that tries again from each place would take hours
        "a=" * 200_000,
        "password" * 20_000,
        "://" * 30_000,
        "bearer " * 20_000,
        "eyJ" * 30_000,
        "x:" * 200_000,
        "key_" * 20_000,
    ):
        without_secrets(text)
    assert len({rule.name for rule in RULES}) == len(RULES)
