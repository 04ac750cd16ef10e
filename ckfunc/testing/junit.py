"""Test results as JUnit XML, for CI systems.

Source of the format: https://github.com/testmoapp/junitxml, which lists the features that CI systems support.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from ckfunc.base.text import printable
from ckfunc.testing.case import CaseOutcome, CaseResult, Tally, tally
from ckfunc.testing.rendering import plain_failure
from ckfunc.testing.sharding import ShardedCases

# Source: https://www.w3.org/TR/xml/#charsets.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[CaseResult], seconds: float, part: ShardedCases | None = None) -> str:
    """Return the results as XML: a suite for each file, a test case for each case. `part` is set for a shard."""
    name = "ckfunc" if part is None else f"ckfunc shard {part.shard} of {part.cases} cases"
    top = ET.Element("testsuites", {"name": name, **counts(tally(results), _broken(results), seconds)})
    for file, group in groupby(results, key=lambda result: result.case.file):
        found = list(group)
        took = sum(result.observed.duration_ms for result in found if result.observed) / 1000
        suite = ET.SubElement(top, "testsuite", {"name": file, **counts(tally(found), _broken(found), took)})
        for result in found:
            _case(suite, result)
    return document(top)


def document(top: ET.Element) -> str:
    """Return the text of a report."""
    ET.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(top, encoding="unicode")}\n'


def _case(suite: ET.Element, result: CaseResult) -> None:
    case, observed = result.case, result.observed
    took = observed.duration_ms / 1000 if observed else 0.0
    attributes = {"name": _clean(case.name), "classname": _clean(f"{case.file} › {case.type}"), "time": f"{took:.3f}"}
    element = ET.SubElement(suite, "testcase", {**attributes, "file": case.file, "line": str(case.line)})
    if result.bad:
        kind = "error" if result.verdict is CaseOutcome.BROKEN else "failure"
        first = result.misses[0] if result.misses else None
        details = {"message": _clean(first.message), "type": first.what} if first else {}
        ET.SubElement(element, kind, details).text = _clean(plain_failure(result))
    elif result.verdict is not CaseOutcome.PASSED:
        why = case.skip if result.verdict is CaseOutcome.SKIPPED else "left out by `only`"
        ET.SubElement(element, "skipped", {"message": _clean(why)} if why else {})
    if observed is not None and observed.console:
        lines = "\n".join(f"{line.level} {line.text}" for line in observed.console)
        ET.SubElement(element, "system-out").text = _clean(lines)


def counts(counted: Tally, broken: int, seconds: float) -> dict[str, str]:
    """Return the attributes with numbers. `broken` of the failed cases could not run."""
    left = counted.skipped + counted.left_out
    return {
        "tests": str(counted.ran + left),
        "failures": str(counted.failed - broken),
        "errors": str(broken),
        "skipped": str(left),
        "time": f"{seconds:.3f}",
    }


def _broken(results: Sequence[CaseResult]) -> int:
    return sum(result.verdict is CaseOutcome.BROKEN for result in results)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", printable(text))
