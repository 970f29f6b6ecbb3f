"""Tests of breakcow.cli."""
