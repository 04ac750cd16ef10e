"""What goes on after its request was answered: imports and exports, one after another, beside the event loop."""
