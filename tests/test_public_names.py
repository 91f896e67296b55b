"""What may be imported from where: few names, all real, all explained."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cllm4rec

SOURCE = Path(cllm4rec.__file__).parent
PACKAGES = [
    ".".join(("cllm4rec", *path.parent.relative_to(SOURCE).parts))
    for path in sorted(SOURCE.rglob("__init__.py"))
]


def test_the_public_names_are_these():
    assert cllm4rec.__all__ == ["CLLM4Rec", "Config", "Dataset"]


@pytest.mark.parametrize("package", PACKAGES)
def test_listed_names_are_listed_once_and_exist(package):
    module = importlib.import_module(package)
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))  # ruff keeps them sorted
    for name in names:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("name", cllm4rec.__all__)
def test_public_classes_explain_themselves_and_their_methods(name):
    public = getattr(cllm4rec, name)
    assert inspect.getdoc(public)
    for method, value in inspect.getmembers(public):
        of_class = inspect.isfunction(value) or inspect.ismethod(value)
        if not method.startswith("_") and of_class and value.__module__.startswith("cllm4rec."):
            assert inspect.getdoc(getattr(public, method)), f"{name}.{method} has no docstring"


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        cllm4rec.Nothing  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    program = "import sys, cllm4rec; print({'torch', 'numpy', 'duckdb'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
