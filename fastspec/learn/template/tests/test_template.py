import pytest
from fastspec.testing import CHECKS
from fastspec_template import Template


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check):
    check(Template)
