"""What is wrong with a dataset, before anything is trained on it."""

from bioclass.check.findings import SEVERITIES, Finding, Severity
from bioclass.check.leaks import split_for_fit
from bioclass.check.quick import quick_findings
from bioclass.check.whole import Checked, check_dataset

__all__ = ["SEVERITIES", "Checked", "Finding", "Severity", "check_dataset", "quick_findings", "split_for_fit"]
