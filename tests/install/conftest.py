"""Tests of the confined service make no sense behind Apache, which runs programs itself."""


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "confined" not in item.fixturenames
                or item.callspec.params["installed"] == "nginx"]
