"""Tests of breakcow.suite."""
