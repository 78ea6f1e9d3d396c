"""Conversations and their traces, kept on this disk. Knows one file; no engine and no screen."""
