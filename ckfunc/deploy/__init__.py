"""How an application is made to match a manifest: snapshot, diff, plan, apply, read back."""
