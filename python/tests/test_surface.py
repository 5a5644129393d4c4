"""The public names are what `__all__` says, and the stub of the native module is complete."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import re

import pytest

import raceline
import raceline.data

PACKAGE = pathlib.Path(raceline.__file__).parent
MODULES = sorted(
    {info.name for info in pkgutil.walk_packages(raceline.__path__, "raceline.")}
    - {"raceline._native", "raceline._worker"}
)


def test_modules_are_found():
    assert "raceline.data.dataset" in MODULES


@pytest.mark.parametrize("name", raceline.__all__)
def test_every_top_level_name_loads(name):
    assert getattr(raceline, name) is not None
    assert name in dir(raceline)


def test_an_unknown_top_level_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module `raceline` has no attribute `read_parket`$"):
        _ = raceline.read_parket


def test_top_level_functions_are_those_of_the_data_namespace():
    sources = [n for n in raceline.data.__all__ if re.match(r"(read|from)_|range$", n)]
    assert len(sources) > 20
    for name in sources:
        assert getattr(raceline, name) is getattr(raceline.data, name)


def test_the_type_checker_sees_the_same_top_level_names():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    typed = {
        alias.asname
        for node in tree.body
        if isinstance(node, ast.If)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
        if alias.asname
    }
    assert typed == set(raceline.__all__) - {"__version__"}


def test_the_data_namespace_is_what_it_says():
    for name in raceline.data.__all__:
        assert not name.startswith("_")
        assert getattr(raceline.data, name) is not None


def test_other_names_of_ray_data_for_the_same():
    assert raceline.data.DatasetContext is raceline.data.DataContext
    assert raceline.data.NodeIdStr is str


def test_an_unknown_name_of_the_data_namespace_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module `raceline.data` has no attribute `reed`$"):
        _ = raceline.data.reed


def public_functions():
    for module_name in MODULES:
        if module_name.rpartition(".")[2].startswith("_") and module_name != "raceline._session":
            continue
        module = importlib.import_module(module_name)
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if not callable(thing) or getattr(thing, "__module__", None) != module_name:
                continue
            yield f"{module_name}.{name}", thing
            if inspect.isclass(thing):
                for key, method in vars(thing).items():
                    if inspect.isfunction(method) and not key.startswith("_"):
                        yield f"{module_name}.{name}.{key}", method


def test_every_public_function_is_documented():
    found = dict(public_functions())
    assert len(found) > 60
    assert not [name for name, thing in found.items() if not inspect.getdoc(thing)]


def test_every_method_of_a_dataset_has_an_example():
    methods = {
        name: getattr(raceline.Dataset, name)
        for name in dir(raceline.Dataset)
        if not name.startswith("_")
    }
    assert len(methods) > 35
    assert not [name for name, method in methods.items() if ">>>" not in method.__doc__]


def stub():
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    classes, functions = {}, set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            functions.add(node.name)
        elif isinstance(node, ast.ClassDef):
            classes[node.name] = {
                part.name for part in node.body if isinstance(part, ast.FunctionDef)
            }
    return classes, functions


def test_the_stub_is_what_the_native_module_has():
    from raceline import _native

    classes, functions = stub()
    assert {"Dataset", "Stream", "Batch", "Session", "Expr"} <= classes.keys()
    public = {name for name in vars(_native) if not name.startswith("__")}
    assert public == classes.keys() | functions
    for name, members in classes.items():
        own = {
            key
            for key, value in vars(getattr(_native, name)).items()
            if not key.startswith("__") or key.startswith("__arrow")
            if callable(value) or inspect.isdatadescriptor(value) or isinstance(value, staticmethod)
        }
        stubbed = {key for key in members if not key.startswith("__") or key.startswith("__arrow")}
        assert own == stubbed, name


def test_the_version_is_the_workspace_s():
    manifest = PACKAGE.parents[1] / "Cargo.toml"
    if not manifest.exists():
        pytest.skip("installed without its sources")
    assert f'version = "{raceline.__version__}"' in manifest.read_text()
