#!/usr/bin/env python3
"""Prints "<passed> <failed>" over all JUnit-form result files below a folder. A skipped case counts as failed:
a test that does not run proves nothing."""
import pathlib
import sys
import xml.etree.ElementTree as tree

passed = failed = 0
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
    try:
        cases = list(tree.parse(file).getroot().iter("testcase"))
    except tree.ParseError as error:
        print(f"{file}: {error}", file=sys.stderr)
        failed += 1
        continue
    for case in cases:
        bad = (case.find("failure") is not None or case.find("error") is not None or case.find("skipped") is not None
               or case.get("result") not in (None, "completed") or case.get("status") == "notrun")
        if bad:
            failed += 1
            print(f"{file.stem}: {case.get('classname')}.{case.get('name')}", file=sys.stderr)
        else:
            passed += 1
print(passed, failed)
