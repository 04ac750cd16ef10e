"""What several tests need: real servers and real projects."""
