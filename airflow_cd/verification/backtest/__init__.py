"""Replaying a verification over past deployments, before it may block anyone."""
