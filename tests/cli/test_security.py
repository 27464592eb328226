import base64
import datetime
import json
import os
import stat
import subprocess
import sys
import time

import pytest

from fairlead.serve.guard import Principal
from fairlead.serve.security import Folder, keyfile, signing, totp
from fairlead.serve.security.audit_check import verify


@pytest.fixture
def fairlead(project, monkeypatch):
    """Run the command line in a project as a process of its own would."""
    project.var.mkdir(exist_ok=True, mode=0o700)
    project.var.chmod(0o700)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PREFECT_", "FAIRLEAD_S"))
    }

    def run(*words, **more):
        return subprocess.run(
            [sys.executable, "-c", "from fairlead.cli import main; main()", *words],
            cwd=project.root,
            capture_output=True,
            text=True,
            check=False,
            env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)} | more,
        )

    run.folder = Folder(project.var / "security")
    return run


def told(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_key_lives_from_new_to_revoked_and_the_log_tells_it(fairlead):
    made = told(fairlead("keys", "new", "litellm", "--role", "gateway", "--route", "chat", "--rate", "50", "--json"))
    headers = [(b"authorization", f"Bearer {made['key']}".encode())]
    first = fairlead.folder.guard().check("POST", "/v1/decide", headers, None)
    rotated = told(fairlead("keys", "rotate", made["id"], "--overlap", "1", "--json"))
    listed = told(fairlead("keys", "list", "--json"))
    revoked = fairlead("keys", "revoke", made["id"])
    after = fairlead.folder.guard().check("POST", "/v1/decide", headers, None)

    assert first == Principal(
        key_id=made["id"], name="litellm", roles=frozenset(["gateway"]), routes=frozenset(["chat"])
    )
    assert rotated["key"] != made["key"]
    assert [(one["id"], one["state"], one["limit"]) for one in listed] == [
        (made["id"], "valid", {"rate_per_s": 50.0, "burst": 100})
    ]
    assert revoked.stdout == f"{made['id']} (litellm) is revoked\n"
    assert after.reason == "revoked"
    entries = [json.loads(one) for one in fairlead.folder.audit.read_bytes().splitlines()]
    assert [one["event"] for one in entries] == ["checkpoint", "key.new", "key.rotated", "key.revoked"]
    assert [one["detail"].get("sequence") for one in entries] == [None, 1, 2, 3]
    assert verify(fairlead.folder.audit, signing.verifier(fairlead.folder.audit_public)).sound
    kept = b"".join(path.read_bytes() for path in fairlead.folder.root.iterdir())
    assert made["key"].encode() not in kept
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in fairlead.folder.root.iterdir()} == {
        path.name: 0o644 if path.suffix == ".pub" else 0o600 for path in fairlead.folder.root.iterdir()
    }


def test_wrong_use_is_one_line_and_exit_code_2(fairlead):
    none = fairlead("keys", "revoke", "abcdefghij")
    made = told(fairlead("keys", "new", "a", "--role", "gateway", "--json"))
    wrong = [
        fairlead("keys", "new", "a", "--role", "root"),
        fairlead("keys", "new", "a", "--role", "gateway", "--burst", "5"),
        fairlead("keys", "new", "a", "--role", "gateway", "--days", "-1"),
        fairlead("keys", "rotate", made["id"], "--overlap", "-1"),
        fairlead("keys", "enrol", made["id"]),
    ]

    assert [one.returncode for one in [none, *wrong]] == [2] * 6
    assert [one.stderr.count("\n") for one in [none, *wrong]] == [1] * 6
    assert "make one with `fairlead keys new" in none.stderr


def test_what_cannot_be_recorded_is_not_done(fairlead):
    told(fairlead("keys", "new", "a", "--role", "gateway", "--json"))
    before = fairlead.folder.keys.read_bytes()
    fairlead.folder.audit.chmod(0o644)

    done = fairlead("keys", "new", "b", "--role", "admin")

    assert done.returncode == 1
    assert "audit.jsonl: others may read it" in done.stderr
    assert done.stdout == ""
    assert fairlead.folder.keys.read_bytes() == before


def test_an_operator_enrols_and_a_machine_without_the_signing_key_makes_no_keys(fairlead):
    made = told(fairlead("keys", "new", "ops", "--role", "operator", "--json"))
    enrolled = told(fairlead("keys", "enrol", made["id"], "--json"))
    fairlead.folder.signing.unlink()

    refused = fairlead("keys", "new", "b", "--role", "gateway")

    assert enrolled["uri"].startswith(f"otpauth://totp/fairlead:ops%20{made['id']}?secret=")
    assert fairlead.folder.step_up().enrolled() == {made["id"]}
    assert (refused.returncode, "signing.key: what signs the file of keys is not here" in refused.stderr) == (1, True)


def test_without_cryptography_files_are_signed_with_a_shared_key(fairlead, monkeypatch, tmp_path):
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "sitecustomize.py").write_text("import sys; sys.modules['cryptography'] = None\n")
    path = os.pathsep.join([str(missing), *sys.path])

    made = told(fairlead("keys", "new", "a", "--role", "gateway", "--json", PYTHONPATH=path))
    listed = told(fairlead("keys", "list", "--json", PYTHONPATH=path))
    enrolled = fairlead("keys", "enrol", made["id"], PYTHONPATH=path)
    health = told(fairlead("doctor", "--json", PYTHONPATH=path))

    assert fairlead.folder.signing.read_bytes().startswith(b"hmac-sha256:")
    assert [one["state"] for one in listed] == ["valid"]
    assert enrolled.returncode == 2
    assert (
        "who can check the file of keys can also write it"
        in next(one for one in health if one["check"] == "keys")["what"]
    )


def test_a_fresh_project_with_a_key_is_healthy(fairlead):
    told(fairlead("keys", "new", "a", "--role", "gateway", "--json"))

    found = [one for one in told(fairlead("doctor", "--json")) if one["check"] not in {"mlflow", "prefect", "serve"}]

    assert {one["verdict"] for one in found} == {"ok"}
    assert {one["check"] for one in found} == {"secrets", "keys", "audit", "written secrets"}


def test_each_fault_is_refused_with_a_way_out_and_exit_code_1(fairlead, project):
    told(fairlead("keys", "new", "a", "--role", "gateway", "--json"))
    told(fairlead("keys", "new", "b", "--role", "gateway", "--json"))
    fairlead.folder.signing.chmod(0o644)
    log = fairlead.folder.audit
    log.write_bytes(log.read_bytes().replace(b'"a"', b'"z"'))
    project.published.mkdir()
    project.published.chmod(0o777)
    pyproject = project.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + '[tool.x]\npassword = "hunter2"\n')

    done = fairlead("doctor", "--json", MLFLOW_HOST="0.0.0.0", PREFECT_SERVER_API_HOST="0.0.0.0")
    words = fairlead("doctor").stdout

    refused = [one for one in json.loads(done.stdout) if one["verdict"] == "refused" and "(pid " not in one["what"]]
    assert done.returncode == 1
    assert {one["check"] for one in refused} == {
        "secrets",
        "audit",
        "snapshots",
        "written secrets",
        "mlflow",
        "prefect",
    }
    assert all(one["way_out"] for one in refused)
    assert done.stderr.endswith("things must not stay as they are\n")
    assert "hunter2" not in done.stdout + words
    assert f"refused  {log} line 3: the line before it" in words
    assert "-> chmod go-w" in words


def test_a_forged_file_of_keys_is_refused(fairlead, tmp_path):
    told(fairlead("keys", "new", "a", "--role", "gateway", "--json"))
    signing.make(tmp_path / "mine.key")
    content = keyfile.read(fairlead.folder.keys, signing.verifier(fairlead.folder.public))
    keyfile.write(fairlead.folder.keys, content, signing.signer(tmp_path / "mine.key"))

    done = fairlead("doctor", "--json")
    listed = fairlead("keys", "list")

    assert done.returncode == listed.returncode == 1
    assert [one["check"] for one in json.loads(done.stdout) if one["verdict"] == "refused"] == ["keys"]
    assert "signed by another key" in listed.stderr


def test_without_a_project_the_folder_has_to_be_named(fairlead, tmp_path):
    elsewhere = Folder(tmp_path / "server")
    made = fairlead("keys", "new", "a", "--role", "gateway", "--folder", str(elsewhere.root), "--json")

    assert told(made)["until"] > datetime.datetime.now(datetime.UTC).isoformat()
    assert elsewhere.keys.exists()
    assert not fairlead.folder.root.exists()


def test_once_an_admin_has_an_authenticator_keys_change_with_its_code_only(fairlead):
    boss = told(fairlead("keys", "new", "boss", "--role", "admin", "--json"))
    uri = told(fairlead("keys", "enrol", boss["id"], "--json"))["uri"]
    secret = base64.b32decode(uri.split("secret=")[1].split("&")[0])
    step = int(time.time() // totp.STEP_S)

    without = fairlead("keys", "new", "a", "--role", "gateway")
    wrong = fairlead("keys", "new", "a", "--role", "gateway", "--by", boss["id"], FAIRLEAD_CODE="000000x")
    done = fairlead(
        "keys", "new", "a", "--role", "gateway", "--by", boss["id"], "--json", FAIRLEAD_CODE=totp.code(secret, step)
    )
    again = fairlead("keys", "revoke", boss["id"], "--by", boss["id"], FAIRLEAD_CODE=totp.code(secret, step))
    prices = fairlead("prices", "--overrides", "none.csv")
    log = told(fairlead("keys", "log", "--json"))

    assert [one.returncode for one in (without, wrong, done, again, prices)] == [2, 1, 0, 1, 2]
    assert f"--by KEY, the id of one of {boss['id']}" in without.stderr
    assert "--by KEY" in prices.stderr
    assert "the code was not taken (wrong code); nothing was done" in wrong.stderr
    assert log["check"]["broken_line"] is None
    assert [one["event"] for one in log["entries"]] == [
        "key.new", "key.enrolled", "step_up.refused", "step_up.granted", "key.new", "step_up.refused",
    ]  # fmt: skip
    assert log["entries"][4]["actor"].endswith(f" by {boss['id']}")


def test_a_log_that_was_changed_is_shown_as_such(fairlead):
    told(fairlead("keys", "new", "a", "--role", "gateway", "--json"))
    told(fairlead("keys", "new", "b", "--role", "gateway", "--json"))
    log = fairlead.folder.audit
    log.write_bytes(log.read_bytes().replace(b'"name":"a"', b'"name":"z"'))

    done = fairlead("keys", "log")

    assert done.returncode == 1
    assert "NOT WHOLE: line 3: the line before it" in done.stdout


def test_what_a_project_holds_is_not_for_every_user_of_the_machine(trained):
    here, _ = trained

    assert [oct(path.stat().st_mode & 0o007) for path in (here.lake, here.database, here.registry)] == ["0o0"] * 3
