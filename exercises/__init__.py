"""Stubs generated from the solutions by 'learn author stubs'; never edited by hand."""
