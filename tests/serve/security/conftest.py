import base64
import datetime

import pytest

from fairlead.serve.routes import ROLES, ROUTES
from fairlead.serve.security import totp


@pytest.fixture(scope="session")
def lasting_guard(make_house, tmp_path_factory):
    """Give one guard for all examples of a property."""
    return make_house(tmp_path_factory.mktemp("lasting") / "security").guard()


@pytest.fixture(scope="module")
def cast(make_house, tmp_path_factory):
    """Give a guard, a key of each role, and a token of each key for each dangerous action."""
    house, now = make_house(tmp_path_factory.mktemp("cast")), datetime.datetime.now(datetime.UTC)
    texts, tokens = {}, {}
    for role in ROLES:
        key, texts[role] = house.new(role, role)
        for action in sorted(one.action for one in ROUTES if one.action):
            step_up = house.folder.step_up(make=True)
            secret = base64.b32decode(step_up.enrol(key.id, role).split("secret=")[1].split("&")[0])
            shown = totp.code(secret, int(now.timestamp() // totp.STEP_S))
            tokens[role, action], _ = step_up.exchange(key.id, action, shown)
    return house.guard(), texts, tokens
