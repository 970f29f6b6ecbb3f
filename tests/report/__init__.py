"""Tests of breakcow.report."""
