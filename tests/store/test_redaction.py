"""Secrets, prompts and responses never reach a file."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pandas as pd
import pytest

import crucible_nb as cr

pytestmark = pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
SECRETS = [
    "sk-abcdefghijklmnopqrstuvwx", "sk-ant-api03-abcdefghijklmnopqrst", "AKIAIOSFODNN7EXAMPLE", "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijklmnop", "hf_abcdefghijklmnopqrstuvwxyz", "xoxb-123456789012-abcdefghij", "AIzaSyA-abcdefghijklmnopqrstuvwxyz01234",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
]  # fmt: skip


def on_disk(store: Path) -> str:
    return "".join(path.read_bytes().decode("utf-8", "replace") for path in store.rglob("*") if path.is_file())


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_never_reach_the_disk(tmp_path: Path, secret: str) -> None:
    exp = cr.start("secret", store=tmp_path, durability="os")
    exp.record(
        "call", note=f"it is {secret}!", error=f"401 for {secret}", tags=["x", {"deep": secret}], metadata={"k": secret}
    )
    exp.record("call", {"x": secret}, y=secret)
    exp.extend([{"note": secret, "error": secret}])
    exp.extend(pd.DataFrame({"note": [secret, "fine"], "metadata": [{"a": [secret]}, None], "any": [[secret], 1]}))
    piece = secret.split("\n")[1] if "\n" in secret else secret[8:24]
    assert piece not in on_disk(tmp_path)
    assert piece not in exp.frame().to_csv()  # nor memory: what is written is what is there
    assert exp.frame()["note"].tolist()[0] == "it is [redacted]!"
    assert exp.frame()["note"].tolist()[-1] == "fine"
    exp.stop()
    assert piece not in on_disk(tmp_path)


@pytest.mark.parametrize("name", ["model", "event", "success", "latency_ms", "prompt_tokens", "sample_id", "step"])
def test_what_does_not_fit_its_column_is_looked_at(tmp_path: Path, name: str) -> None:
    secret = SECRETS[0]
    exp = cr.start("misfit", store=tmp_path)
    for value in ({"model": secret}, [secret], ({"password": "hunter2"},)):
        if name != "event":
            exp.record("call", **{name: value})
            exp.record("call", {name: value})
        exp.extend([{"event": "call", name: value}])
        exp.extend(pd.DataFrame({name: [value, value]}), event=None if name == "event" else "call")
    if name not in ("model", "event", "sample_id"):
        exp.record("call", **{name: secret})
        exp.extend(pd.DataFrame({name: [secret, "1"]}), event="call")
    exp.stop()
    assert exp.summary()["total_events"] >= 9
    assert secret not in exp.frame().to_csv() + on_disk(tmp_path)
    assert "hunter2" not in exp.frame().to_csv() + on_disk(tmp_path)


def test_what_is_said_of_the_experiment_is_looked_at(tmp_path: Path) -> None:
    said = {"tags": [SECRETS[0], "ab"], "hypothesis": f"{SECRETS[1]} is better"}
    exp = cr.start("said", store=tmp_path, metadata={"api_key": "hunter2", "lr": 0.1, "model": SECRETS[2]}, **said)
    assert exp.metadata == {"api_key": "[redacted]", "lr": 0.1, "model": "[redacted]"}
    assert (exp.tags, exp.hypothesis) == (("[redacted]", "ab"), "[redacted] is better")
    exp.stop()
    assert not any(secret in on_disk(tmp_path) for secret in (*SECRETS[:3], "hunter2"))
    cr.start("all", store=tmp_path, redact=False, metadata={"api_key": "hunter2"}).stop()
    assert "hunter2" in on_disk(tmp_path)
    assert cr.start("memory", metadata={"api_key": "hunter2"}).metadata == {"api_key": "hunter2"}


def test_names_that_tell(tmp_path: Path) -> None:
    exp = cr.start("names", store=tmp_path)
    exp.record(
        "call",
        api_key="a",
        openai_api_key="b",
        password="c",
        Authorization="d",
        token="e",
        db_dsn="f",
        pin_secret="1234",
    )
    exp.record(
        "call",
        prompt_tokens=3,
        completion_tokens=4,
        total_tokens=7,
        tokens=9,
        secretary="Ann",
        author="Bo",
        monkey="see",
    )
    exp.record("call", {"http.request.header.authorization": "x", "nested": {"password": "hunter2", "fine": 1}})
    row, kept, third = exp.frame().iloc[0], exp.frame().iloc[1], exp.frame().iloc[2]
    assert {
        row[name]
        for name in ("api_key", "openai_api_key", "password", "Authorization", "token", "db_dsn", "pin_secret")
    } == {"[redacted]"}
    assert (kept.prompt_tokens, kept.tokens, kept.secretary, kept.author, kept.monkey) == (3, 9, "Ann", "Bo", "see")
    assert third["http.request.header.authorization"] == "[redacted]"
    assert third["metadata"] == '{"nested":{"password":"[redacted]","fine":1}}'
    assert "hunter2" not in on_disk(tmp_path)
    exp.stop()


def test_credentials_in_an_address(tmp_path: Path) -> None:
    exp = cr.start("dsn", store=tmp_path)
    exp.record("call", error="could not reach postgresql://me:hunter2@db.example/x")
    assert exp.frame()["error"].tolist() == ["could not reach postgresql://[redacted]@db.example/x"]
    exp.stop()


def test_content_is_kept_when_asked(tmp_path: Path) -> None:
    for content, want in ((False, "[content not stored]"), (True, "Dear model")):
        exp = cr.start("content", store=tmp_path / str(content), redact=cr.Redaction(content=content))
        exp.record("call", prompt="Dear model", messages=[{"role": "user", "content": "marmalade"}])
        exp.extend(pd.DataFrame({"prompt": ["Dear model"]}))
        assert exp.frame()["prompt"].tolist() == [want, want]
        assert ("marmalade" in on_disk(tmp_path / str(content))) is content
        exp.stop()


def test_a_hook_of_ones_own(tmp_path: Path) -> None:
    exp = cr.start("hook", store=tmp_path, redact=lambda column, text: text.replace("Bob", "B."))
    exp.record("call", note="Bob has sk-abcdefghijklmnopqrstuvwx", user_id="Bob")
    assert exp.frame()["note"].tolist() == ["B. has [redacted]"]
    assert exp.frame()["user_id"].tolist() == ["Bob"]  # registered columns are taken for what they are
    exp.stop()
    with pytest.raises(cr.StoreError, match="it was started with a redaction hook, which is not saved in the store"):
        cr.attach("hook", store=tmp_path, mode="join")


@pytest.mark.parametrize("hook", [lambda column, text: 1 / 0, lambda column, text: 5])
def test_a_hook_that_fails_lets_nothing_through(tmp_path: Path, hook: object) -> None:
    exp = cr.start("broken", store=tmp_path, redact=hook)
    assert exp.record("call", note="secret")
    assert exp.frame()["note"].tolist() == ["[redacted]"]
    assert exp.summary()["errors"] == 1
    exp.stop()


def test_switched_off_and_kept_columns(tmp_path: Path) -> None:
    exp = cr.start("off", store=tmp_path / "a", redact=False)
    exp.record("call", note=SECRETS[0], prompt="p")
    assert exp.frame()["note"].tolist() == [SECRETS[0]]
    exp.stop()
    exp = cr.start("keep", store=tmp_path / "b", redact=cr.Redaction(keep=["note"]))
    exp.record("call", note=SECRETS[0], other=SECRETS[0])
    assert exp.frame()[["note", "other"]].values.tolist() == [[SECRETS[0], "[redacted]"]]
    exp.stop()


def test_it_can_be_sent_and_remembers_little() -> None:
    redaction = cr.Redaction(content=True, keep=["x"])
    for n in range(10_000):
        redaction("note", f"text {n}")
    assert len(redaction._texts) <= 4096
    again = pickle.loads(pickle.dumps(redaction))
    assert again.to_dict() == redaction.to_dict() == {"content": True, "keep": ["x"], "hook": False}
    assert not again._texts


def test_in_memory_nothing_is_taken_out() -> None:
    exp = cr.start("memory")
    exp.record("call", note=SECRETS[0])
    assert exp.frame()["note"].tolist() == [SECRETS[0]]
    exp.stop()


NUMBERS = {
    "time_to_first_token": 0.31, "cost_per_token": 2e-6, "ms_per_token": 12.5, "token": 17, "next_token": 50256,
    "eos_token": 2, "auth": True, "secret": 3, "is_secret": False, "cookie": 4, "response": 3, "messages": 14,
    "completion": 0.93, "prompt": 7, "train/token": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("stored", [False, True])
def test_numbers_are_no_secrets(tmp_path: Path, stored: bool) -> None:
    exp = cr.start("numbers", store=tmp_path if stored else None)
    exp.record("call", NUMBERS)
    exp.record("call", {"nested": NUMBERS})
    exp.extend([NUMBERS])
    exp.extend(pd.DataFrame([NUMBERS]))
    exp.extend(pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in NUMBERS.items()}))
    frame = exp.frame()
    for row in (0, 2, 3, 4):
        assert {name: frame[name].tolist()[row] for name in NUMBERS} == NUMBERS
    assert json.loads(frame["metadata"].tolist()[1]) == {"nested": NUMBERS}
    assert (exp.summary().get("redacted", 0), exp.summary()["misfits"]) == (0, 1)
    exp.stop()


def test_below_a_name_that_tells_only_texts_are_removed() -> None:
    given = {"credentials": {"user": "bob", "port": 5432, "tls": True, "more": ["x", 1]}, "prompt": [1, 2, "three"]}
    inner = {"user": "[redacted]", "port": 5432, "tls": True, "more": ["[redacted]", 1]}
    assert cr.Redaction()("metadata", given) == {"credentials": inner, "prompt": [1, 2, "[content not stored]"]}
