"""What users set: one declaration a setting, keys and their files, log lines."""
