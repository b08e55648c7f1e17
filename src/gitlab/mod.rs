//! GitLab's side: its API read and written by different traits, and web sessions for what no API does.
