"""Parliament's findings on the IAM policies on stdin, a JSON object of documents by name; low severities too."""

import json
import sys

import parliament

findings = []
for name, policy in json.load(sys.stdin).items():
    for finding in parliament.analyze_policy_string(json.dumps(policy), name).findings:
        # It wants all that an action is about in one statement; ours are in several, each with conditions of its own.
        if finding.issue == "RESOURCE_MISMATCH":
            continue
        finding = parliament.enhance_finding(finding)
        findings.append(f"{name}: {finding.severity} {finding.issue}: {finding.detail} {finding.location}")
json.dump(findings, sys.stdout)
