"""Actions: each changes the data, runs functions, publishes to topics and notifies users."""
