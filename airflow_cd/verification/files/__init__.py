"""Verification of plain files: opened, read and judged without any deployment."""
