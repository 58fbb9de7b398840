"""Schemas for kubeconform: `python -m deploy.manifests.kubernetes_schemas FOLDER CRD...`.

Those of Kubernetes come from the package kubernetes-validate; those of custom resources are made
from their definitions, with unknown fields refused.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import yaml

VERSIONS = tuple(f"1.{minor}.0" for minor in range(28, 35))
KINDS = (
    "configmap-v1",
    "cronjob-batch-v1",
    "deployment-apps-v1",
    "networkpolicy-networking-v1",
    "poddisruptionbudget-policy-v1",
    "service-v1",
    "serviceaccount-v1",
    "statefulset-apps-v1",
)


def write_kubernetes(folder: Path) -> None:
    """Each version's schemas, their references made relative."""
    source = files("kubernetes_validate") / "kubernetes-json-schema"
    for version in VERSIONS:
        (folder / f"v{version}").mkdir(parents=True, exist_ok=True)
        for name in ("_definitions", *KINDS):
            text = (source / f"v{version}-local-strict" / f"{name}.json").read_text("utf-8")
            target = folder / f"v{version}" / f"{name}.json"
            schema = json.loads(text.replace('"/api/_definitions.json', '"_definitions.json'))
            del schema["$id"]  # references are to lead to the file beside it
            target.write_text(json.dumps(schema), encoding="utf-8")


def write_custom(folder: Path, definition: Path) -> None:
    """The schema of each version of a custom resource."""
    spec = yaml.safe_load(definition.read_text(encoding="utf-8"))["spec"]
    target = folder / spec["group"]
    target.mkdir(parents=True, exist_ok=True)
    for version in spec["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        name = f"{spec['names']['singular']}_{version['name']}.json"
        (target / name).write_text(json.dumps(closed(schema)), encoding="utf-8")


def closed(schema: object) -> object:
    """A schema that refuses unknown fields, except in the metadata, which it leaves open."""
    if isinstance(schema, Mapping):
        return dict(_closed(schema))
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    return schema


def _closed(schema: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for key, value in schema.items():
        yield key, closed(value)
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), Mapping) and not is_open:
        yield "additionalProperties", False


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Write all schemas."""
    folder, *definitions = map(Path, arguments)
    write_kubernetes(folder)
    for definition in definitions:
        write_custom(folder, definition)


if __name__ == "__main__":
    main()
