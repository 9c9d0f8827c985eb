"""Checks of a host before anything on it changes: facts are collected, then compared with needs stated as data."""
