"""What nfpm is given for the deb and the rpm; `make lint-extra` builds them."""

import json
import os
import re
import subprocess
import sys

import pytest

from deploy.packages.__main__ import UNITS, configuration, launcher, main
from exporter import __version__
from exporter.cli.catalogue import ROOT

BUILD = (ROOT / "deploy" / "packages" / "build.sh").read_text(encoding="utf-8")


def test_a_package_depends_on_the_python_that_it_was_built_with() -> None:
    told = configuration("/tree")
    this = f"3.{sys.version_info.minor}"
    overrides = json.loads(json.dumps(told["overrides"]))
    assert overrides["deb"]["depends"][0] == f"python3 (>= {this})"
    assert overrides["rpm"]["depends"] == [f"python{this}"]
    assert f"/usr/bin/python{this} " in launcher()
    assert told["version"] == __version__


def test_what_is_packaged_is_what_the_script_puts_into_the_tree() -> None:
    contents = json.loads(json.dumps(configuration("/tree")["contents"]))
    names = {each["src"].removeprefix("/tree/") for each in contents}
    assert names == {"lib", "devin-exporter", "settings", "LICENSE", *UNITS}
    assert all((ROOT / "deploy" / "systemd" / unit).is_file() for unit in UNITS)
    written = set(re.findall(r'"\$tree/([\w.$-]+)"', BUILD))
    assert {"lib", "devin-exporter", "settings", "devin-exporter.$unit"} <= written


def test_scripts_of_the_package_can_be_run() -> None:
    scripts = json.loads(json.dumps(configuration("/tree")["scripts"]))
    for path in scripts.values():
        assert os.access(ROOT / path, os.X_OK)
        subprocess.run(["sh", "-n", ROOT / path], check=True)


def test_the_configuration_is_printed_and_the_launcher_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["/tree"])
    assert json.loads(capsys.readouterr().out)["name"] == "devin-exporter"
    main(["--launcher"])
    assert capsys.readouterr().out == launcher()
