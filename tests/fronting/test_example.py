"""The example's settings and policies, with the addresses of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import read_settings
from tests.fronting.site import fronted
from tests.images import sound

EXAMPLE = Path(__file__).parents[2] / "examples" / "in-front-of-glance"


def test_the_example_serves(tmp_path: Path) -> None:
    example = yaml.safe_load((EXAMPLE / "gateway.yaml").read_text())

    def change(settings: dict[str, Any]) -> None:
        """Addresses, accounts and folders are this machine's; what the example says besides stays."""
        account = settings["identity"]["keystone"]
        settings |= {key: example[key] for key in ("backend", "policy")}
        settings["identity"] = {
            **example["identity"],
            "keystone": {**example["identity"]["keystone"], **account, "project": "service"},
        }
        settings["stores"] = [{"name": store["name"]} for store in example["stores"]]
        settings["policy"] = {"directory": str(EXAMPLE / example["policy"]["directory"])}

    with fronted(tmp_path, change) as site, site.user() as alice:
        image = alice.create(disk_format="qcow2", container_format="bare")
        assert alice.save(image, sound.qcow2()).status_code == 204
        assert alice.show(image)["status"] == "active"


def test_the_example_is_read_as_it_stands() -> None:
    settings = read_settings(EXAMPLE / "gateway.yaml")
    assert (settings.backend, settings.policy_directory.name) == ("glance", "public-cloud")


def test_the_role_may_do_what_the_text_says_and_nothing_else() -> None:
    """Whatever Glance lets its administrators do is said again, without the gateway's user."""
    rules = yaml.safe_load((EXAMPLE / "glance-policy.yaml").read_text())
    granting = {name for name, rule in rules.items() if "role:image_gateway" in rule and "not role" not in rule}
    assert granting == {"context_is_admin"}
    for name in ("delete_image", "download_image", "publicize_image", "add_member", "copy_image", "tasks_api_access"):
        assert "rule:context_is_admin" not in rules[name]


@pytest.mark.parametrize("name", ["glance-policy.yaml", "keystone-policy.yaml"])
def test_policies_are_rules_by_name(name: str) -> None:
    rules = yaml.safe_load((EXAMPLE / name).read_text())
    assert all(isinstance(rule, str) and rule for rule in rules.values())
