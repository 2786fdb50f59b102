"""The cases of the contract, by what they are about. Failed assertions are explained as in any test."""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
