import json
import os
import shutil
import subprocess
import sys

import pytest

from fairlead.serve.security import signing
from fairlead.serve.security.audit_check import verify

pytestmark = pytest.mark.study

ISSUE = """
import datetime, sys
from pathlib import Path
from fairlead.serve.security import Folder, keys
now = datetime.datetime.now(datetime.UTC)
Folder(Path(sys.argv[1])).change("key.new", "t", now, lambda kept: keys.issue(kept, "new", ("gateway",), now=now))
"""
CALLS = ("openat", "write", "fsync", "rename,renameat2", "ftruncate", "flock", "fchmod")


@pytest.mark.parametrize("fault", ["signal=SIGKILL", "error=EIO", "error=ENOSPC"])
def test_whichever_call_fails_the_keys_are_the_old_or_the_new_ones_and_the_log_has_what_was_done(
    house, tmp_path, fault
):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace here: install Debian's package strace")
    house.folder.log().add("key.new", "before")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    hit = 0
    for call in CALLS:
        for number in range(1, 9):
            folder = tmp_path / f"{call}-{number}".replace(",", "-")
            shutil.copytree(house.folder.root, folder)
            inject = ["-f", "-qq", "-o", str(tmp_path / "trace"), "-P", str(folder)]
            inject += [part for path in sorted(folder.iterdir()) for part in ("-P", str(path))]
            command = [strace, *inject, "-e", f"inject={call}:{fault}:when={number}"]
            done = subprocess.run(
                [*command, sys.executable, "-c", ISSUE, str(folder)], env=environment, capture_output=True, check=False
            )
            hit += done.returncode != 0
            where = type(house.folder)(folder)

            kept = where.guard().keyring.sequence
            verdict = verify(where.audit, signing.verifier(where.audit_public))
            recorded = [json.loads(one)["detail"].get("sequence") for one in where.audit.read_bytes().splitlines()[1:]]

            assert kept in {1, 2}, (call, number)
            assert verdict.sound, (call, number, verdict)
            assert kept == 1 or 2 in recorded, (call, number)
            assert done.returncode != 0 or kept == 2, (call, number)
            where.log().add("key.new", "after")
            assert verify(where.audit, signing.verifier(where.audit_public)).sound, (call, number)
    print(f"{fault}: {hit} calls were made to fail")
    assert hit >= 8
