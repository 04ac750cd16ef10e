"""Make an application match a manifest: plan, apply, verify, show."""
