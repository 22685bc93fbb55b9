"""The 'learn' command, one file a command."""
