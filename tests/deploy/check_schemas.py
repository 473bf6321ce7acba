"""Checks manifests (JSON: lists by name, on standard input) against the schemas of several versions of Kubernetes, strictly:
what a version does not know is an error. Runs in the environment of scripts/setup-deploy kubernetes."""

import json
import sys

import kubernetes_validate

VERSIONS = ("1.25", "1.28", "1.31", "1.34", "1.37")

checked = problems = 0
for name, manifests in json.load(sys.stdin).items():
    for manifest in manifests:
        for version in VERSIONS:
            checked += 1
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except Exception as error:  # noqa: BLE001
                problems += 1
                print(f"{name}: {manifest['kind']} {manifest['metadata']['name']}, Kubernetes {version}: {error}")
print(f"{checked} checks of manifests against Kubernetes {VERSIONS[0]} to {VERSIONS[-1]}, {problems} problems")
sys.exit(bool(problems))
