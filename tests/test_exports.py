import importlib
import pkgutil
import types

import pytest

import fairlead

MODULES = sorted(
    one.name for one in pkgutil.walk_packages(fairlead.__path__, "fairlead.") if "_project" not in one.name
)


def test_the_package_shows_what_it_exports_and_nothing_else():
    visible = {
        name
        for name, value in vars(fairlead).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }

    assert visible == set(fairlead.__all__) - {"__version__"}


@pytest.mark.parametrize("name", MODULES)
def test_every_exported_name_exists(name):
    module = importlib.import_module(name)

    assert [one for one in getattr(module, "__all__", ()) if not hasattr(module, one)] == []
